//! A BinXML encoder for tests, with inline names and templates as a server sends them.

use super::token;

const END_OF_FRAGMENT: u8 = 0;

/// The content of an element or attribute.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Element(Tag),
    Text(String),
    Cdata(String),
    Character(u16),
    Entity(&'static str),
    Value(u16),
    Instruction(String, String),
}

/// An element to encode.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) dependency: Option<u16>,
    pub(crate) attributes: Vec<(String, Vec<Part>)>,
    pub(crate) content: Vec<Part>,
}

/// The type and bytes of a value.
pub(crate) type Typed = (u8, Vec<u8>);

impl Tag {
    pub(crate) fn new(name: &str, content: Vec<Part>) -> Self {
        Self { name: name.to_owned(), content, ..Self::default() }
    }

    pub(crate) fn with(mut self, attribute: &str, value: Part) -> Self {
        self.attributes.push((attribute.to_owned(), vec![value]));
        self
    }

    pub(crate) fn depends(mut self, value: u16) -> Self {
        self.dependency = Some(value);
        self
    }

    /// `<Data Name="name">value</Data>`.
    pub(crate) fn data(name: &str, value: Part) -> Self {
        Self::new("Data", vec![value]).with("Name", Part::Text(name.to_owned()))
    }
}

/// UTF-16 without a terminator.
pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn string(text: &str) -> Typed {
    (token::STRING, wide(text))
}

/// A value that is a fragment.
pub(crate) fn inner(fragment: Vec<u8>) -> Typed {
    (token::FRAGMENT, fragment)
}

/// A fragment with an inline element.
pub(crate) fn plain(tag: &Tag) -> Vec<u8> {
    let mut out = vec![token::FRAGMENT_HEADER, 1, 1, 0];
    ElementWriter { templated: false }.element(tag, &mut out);
    out.push(END_OF_FRAGMENT);
    out
}

/// A fragment with a template and its values.
pub(crate) fn instance(identifier: u8, template: &Tag, values: &[Typed]) -> Vec<u8> {
    let mut body = vec![token::FRAGMENT_HEADER, 1, 1, 0];
    ElementWriter { templated: true }.element(template, &mut body);
    body.push(END_OF_FRAGMENT);
    instance_of([identifier; 16], &body, values)
}

/// The same, with an encoded template.
pub(crate) fn instance_of(identifier: [u8; 16], body: &[u8], values: &[Typed]) -> Vec<u8> {
    let mut out = vec![token::FRAGMENT_HEADER, 1, 1, 0, token::TEMPLATE_INSTANCE, 0];
    out.extend(identifier);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    out.extend((values.len() as u32).to_le_bytes());
    for (kind, bytes) in values {
        out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        out.extend([*kind, 0]);
    }
    out.extend(values.iter().flat_map(|(_, bytes)| bytes));
    out.push(END_OF_FRAGMENT);
    out
}

struct ElementWriter {
    templated: bool,
}

impl ElementWriter {
    fn element(&self, tag: &Tag, out: &mut Vec<u8>) {
        let has_attributes = !tag.attributes.is_empty();
        out.push(token::OPEN_ELEMENT | if has_attributes { token::MORE } else { 0 });
        if self.templated {
            out.extend(tag.dependency.unwrap_or(0xffff).to_le_bytes());
        }
        let mut rest = name(&tag.name);
        if has_attributes {
            let attributes = self.attributes(tag);
            rest.extend((attributes.len() as u32).to_le_bytes());
            rest.extend(attributes);
        }
        if tag.content.is_empty() {
            rest.push(token::CLOSE_EMPTY_ELEMENT);
        } else {
            rest.push(token::CLOSE_START_TAG);
            self.parts(&tag.content, &mut rest);
            rest.push(token::END_ELEMENT);
        }
        out.extend((rest.len() as u32).to_le_bytes());
        out.extend(rest);
    }

    fn attributes(&self, tag: &Tag) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, (called, value)) in tag.attributes.iter().enumerate() {
            let more = if at + 1 < tag.attributes.len() { token::MORE } else { 0 };
            out.push(token::ATTRIBUTE | more);
            out.extend(name(called));
            self.parts(value, &mut out);
        }
        out
    }

    fn parts(&self, parts: &[Part], out: &mut Vec<u8>) {
        for (at, part) in parts.iter().enumerate() {
            let more = if at + 1 < parts.len() { token::MORE } else { 0 };
            match part {
                Part::Element(tag) => self.element(tag, out),
                Part::Text(text) => {
                    out.extend([token::TEXT | more, token::STRING]);
                    counted(text, out);
                }
                Part::Cdata(text) => {
                    out.push(token::CDATA | more);
                    counted(text, out);
                }
                Part::Character(code) => {
                    out.push(token::CHARACTER | more);
                    out.extend(code.to_le_bytes());
                }
                Part::Entity(called) => {
                    out.push(token::ENTITY | more);
                    out.extend(name(called));
                }
                Part::Value(number) => {
                    out.push(token::SUBSTITUTION);
                    out.extend(number.to_le_bytes());
                    out.push(token::STRING);
                }
                Part::Instruction(target, data) => {
                    out.push(token::INSTRUCTION_TARGET);
                    out.extend(name(target));
                    out.push(token::INSTRUCTION_DATA);
                    counted(data, out);
                }
            }
        }
    }
}

fn counted(text: &str, out: &mut Vec<u8>) {
    let wide = wide(text);
    out.extend((wide.len() as u16 / 2).to_le_bytes());
    out.extend(wide);
}

/// A name with its hash (MS-EVEN6 section 2.2.12, `NameHash`).
fn name(text: &str) -> Vec<u8> {
    let hash = text
        .encode_utf16()
        .fold(0u32, |hash, unit| hash.wrapping_mul(65_599).wrapping_add(unit.into()));
    let mut out = (hash as u16).to_le_bytes().to_vec();
    counted(text, &mut out);
    out.extend([0, 0]);
    out
}
