//! Stories of directories: names, questions, groups that go out, and what follows for sessions.
