//! The structured data of RFC 5424 section 6.3: `[id name="value" ...]`, parsed on access.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The elements of a message including brackets; empty if there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StructuredData<'a>(&'a [u8]);

/// One parameter of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// SD-ID, for instance `junos@2636.1.1.1.2.129`.
    pub element: &'a [u8],
    /// PARAM-NAME, for instance `source-address`.
    pub name: &'a [u8],
    /// PARAM-VALUE with escapes.
    raw: &'a [u8],
}

impl<'a> StructuredData<'a> {
    /// Splits the elements, or the nil value, from the beginning of `bytes`. An unclosed element is
    /// text.
    pub(super) fn split(bytes: &'a [u8]) -> (Self, &'a [u8]) {
        match bytes {
            [b'-'] => return (Self(&[]), &[]),
            [b'-', b' ', text @ ..] => return (Self(&[]), text),
            [b'[', ..] => {}
            _ => return (Self(&[]), bytes),
        }
        let mut end = 0;
        while bytes.get(end) == Some(&b'[') {
            match element_end(&bytes[end..]) {
                Some(length) => end += length,
                None => break,
            }
        }
        let (data, text) = bytes.split_at(end);
        (Self(data), text)
    }

    /// Every parameter of every element, in order.
    pub fn params(self) -> Params<'a> {
        Params { rest: self.0, element: &[] }
    }

    /// The value of the first parameter named `name`, in any element.
    pub fn get(self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.params().find(|param| param.name == name.as_bytes()).map(|param| param.value())
    }
}

/// The length of the element at the beginning of `bytes`. Fast path: a `]` after a closing quote,
/// or before any quote, ends it. Otherwise the quotes are counted.
fn element_end(bytes: &[u8]) -> Option<usize> {
    let end = memchr(b']', bytes)?;
    match bytes[..end] {
        // Not an escaped quote, and not an opening one.
        [.., before, b'"'] if before != b'\\' && before != b'=' => Some(end + 1),
        ref head if memchr(b'"', head).is_none() => Some(end + 1),
        _ => element_end_by_quotes(bytes),
    }
}

/// Junos does not quote consistently, so that an escape outside of quotes counts too.
fn element_end_by_quotes(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut quoted) = (1, false);
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

impl<'a> Param<'a> {
    /// The value with `\"`, `\\` and `\]` unescaped; other backslashes are kept (RFC 5424 section
    /// 6.3.3).
    pub fn value(self) -> Cow<'a, [u8]> {
        if memchr(b'\\', self.raw).is_none() {
            return Cow::Borrowed(self.raw);
        }
        let mut value = Vec::with_capacity(self.raw.len());
        let mut bytes = self.raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let escaped =
                bytes.next_if(|next| byte == b'\\' && matches!(next, b'"' | b'\\' | b']'));
            value.push(escaped.unwrap_or(byte));
        }
        Cow::Owned(value)
    }
}

/// Iterates over the parameters.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    rest: &'a [u8],
    element: &'a [u8],
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            match self.rest {
                [] => return None,
                [b'[', rest @ ..] => {
                    let end = memchr2(b' ', b']', rest).unwrap_or(rest.len());
                    (self.element, self.rest) = rest.split_at(end);
                }
                [b' ' | b']', rest @ ..] => self.rest = rest,
                _ => return self.param(),
            }
        }
    }
}

impl<'a> Params<'a> {
    /// `name="value"`. Any other form ends the iteration.
    fn param(&mut self) -> Option<Param<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let equals = memchr(b'=', rest)?;
        let value = rest[equals + 1..].strip_prefix(b"\"")?;
        let mut end = 0;
        loop {
            end += memchr2(b'"', b'\\', value.get(end..)?)?;
            if value[end] == b'"' {
                break;
            }
            end += 2;
        }
        self.rest = &value[end + 1..];
        Some(Param { element: self.element, name: &rest[..equals], raw: &value[..end] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &str) -> (Vec<(String, String, String)>, &str) {
        let (data, text) = StructuredData::split(bytes.as_bytes());
        let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let params = data.params().map(|p| (owned(p.element), owned(p.name), owned(&p.value())));
        (params.collect(), std::str::from_utf8(text).unwrap())
    }

    #[test]
    fn elements_params_and_escapes() {
        let line =
            r#"[auth@32473 user="al\"ice" path="C:\\x\]\n"][junos@2636.1.1.1.2.40 a=""] text"#;
        let (params, text) = read(line);
        let param = |e: &str, n: &str, v: &str| (e.to_owned(), n.to_owned(), v.to_owned());
        assert_eq!(
            params,
            [
                param("auth@32473", "user", "al\"ice"),
                param("auth@32473", "path", "C:\\x]\\n"),
                param("junos@2636.1.1.1.2.40", "a", ""),
            ]
        );
        assert_eq!(text, " text");
        let (data, _) = StructuredData::split(line.as_bytes());
        assert_eq!(data.get("user").as_deref(), Some(&b"al\"ice"[..]));
        assert_eq!(data.get("nobody"), None);
    }

    #[test]
    fn real_junos_data() {
        let (params, text) = read(
            r#"[junos@1111.1.1.1.1.111 local-initiator="ipv4_subnet(any:0,[0..7\]=89.160.20.112/29)" traffic-selector-name=""] Local gateway"#,
        );
        assert_eq!(params.len(), 2);
        assert_eq!(params[0].2, "ipv4_subnet(any:0,[0..7]=89.160.20.112/29)");
        assert_eq!(text, " Local gateway");
    }

    #[test]
    fn unclosed_element_is_text() {
        assert_eq!(read("[a b=\"c\" text"), (vec![], "[a b=\"c\" text"));
        assert_eq!(read("-"), (vec![], ""));
        assert_eq!(read("- x"), (vec![], "x"));
        assert_eq!(read("[a]x"), (vec![], "x"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn fast_path_equals_counting_quotes(
            values in proptest::collection::vec(r#"[a-z= ]{0,3}(\\\]|\\"|\\\\){0,2}[a-z= ]{0,3}"#, 0..4),
            text in r#"[a-z"\] ]{0,6}"#,
        ) {
            let params: String = values.iter().map(|value| format!(" n=\"{value}\"")).collect();
            let element = format!("[id@1{params}]");
            let line = format!("{element} {text}");
            prop_assert_eq!(element_end(line.as_bytes()), Some(element.len()));
            prop_assert_eq!(element_end_by_quotes(line.as_bytes()), Some(element.len()));
            let (data, _) = StructuredData::split(line.as_bytes());
            prop_assert_eq!(data.params().count(), values.len());
        }
    }
}
