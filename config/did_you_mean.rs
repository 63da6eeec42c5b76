//! Suggestions for misspelled words.

/// The word of `known` that is most similar to `written`. `None` if the best one differs in more
/// than a third of its characters (Levenshtein distance).
pub(crate) fn did_you_mean<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let distances = known.into_iter().map(|word| (strsim::levenshtein(written, word), word));
    let (distance, word) = distances.min()?;
    (distance <= word.chars().count().div_ceil(3)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_word_is_suggested_and_an_unrelated_word_is_not() {
        let known = ["address", "addresses", "listen"];
        assert_eq!(did_you_mean("adresses", known), Some("addresses"));
        assert_eq!(did_you_mean("lisen", known), Some("listen"));
        assert_eq!(did_you_mean("colour", known), None);
        assert_eq!(did_you_mean("", []), None);
    }
}
