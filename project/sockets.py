"""What the kernel knows of a socket, asked without letting other threads in."""

import ctypes
import errno
import socket

# Python lets go of its lock for every call to the system, so that of many busy threads each such call switches to
# another one. This one can't block; calls through PyDLL keep the lock.
_peek = ctypes.PyDLL(None, use_errno=True).recv
_peek.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_peek.restype = ctypes.c_ssize_t
_FLAGS = socket.MSG_PEEK | socket.MSG_DONTWAIT
_byte = ctypes.create_string_buffer(1)


def has_bytes(descriptor: int) -> bool:
    """Say whether something can be read from a socket: bytes, or its end."""
    return _peek(descriptor, _byte, 1, _FLAGS) >= 0 or ctypes.get_errno() != errno.EAGAIN
