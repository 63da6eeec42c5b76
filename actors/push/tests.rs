//! Stories of push actors.
