//! Reading real and unreal directories.
