//! The word that was most likely meant by a misspelt one.

/// The word of `known` that `written` was most likely meant to be: at most a third of it differs.
pub(crate) fn nearest<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let distances = known.into_iter().map(|word| (distance(written, word), word));
    let (distance, word) = distances.min()?;
    (distance <= word.chars().count().div_ceil(3)).then_some(word)
}

/// How many letters must be put in, left out or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meant_word_is_found_and_none_is_invented() {
        let known = ["address", "addresses", "listen"];
        assert_eq!(nearest("adresses", known), Some("addresses"));
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", []), None);
    }

    #[test]
    fn letters_put_in_left_out_and_replaced_are_counted() {
        for (left, right, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("é", "e", 1)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }
}
