"""The suite. It mirrors the source tree; ``rfc`` speaks HTTP only, ``browser`` drives Chromium."""
