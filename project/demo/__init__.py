"""The main job of the house, walked over real HTTP, each answer checked."""
