//! A random number generator with a fixed sequence for each seed, so that a failure can be repeated.

/// Marsaglia's xorshift.
#[derive(Debug, Clone)]
pub(crate) struct SeededRng(u64);

impl SeededRng {
    /// The generator for `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be 0, and neighboring seeds would start with similar numbers: the golden
        // ratio (as in SplitMix64) and some rounds spread them.
        let mut chance = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            chance.below(2);
        }
        chance
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % bound
    }

    /// True once in `often` calls, on average.
    pub(crate) fn once_in(&mut self, often: u64) -> bool {
        self.below(often) == 0
    }
}
