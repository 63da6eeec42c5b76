//! Binary XML written by the tests, with inline names and templates as a server sends them.
