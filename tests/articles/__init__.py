"""A small app that the tests of permissions need: rows of several kinds, some of which belong to teams."""
