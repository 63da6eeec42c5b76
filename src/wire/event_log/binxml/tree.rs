//! The elements of a fragment or template, read once and then walked for every event.

use super::plan::Plan;
use super::problem::Problem;
use super::text::Utf16;
use super::token;
use crate::event_log::bytes::Bytes;

/// An element: MS-EVEN6 section 2.2.12, rule `Element`.
#[derive(Debug, PartialEq)]
pub(super) struct Element {
    pub(super) name: Box<str>,
    /// The value without which the element is not there.
    pub(super) dependency: Option<u16>,
    pub(super) attributes: Box<[Attribute]>,
    pub(super) content: Box<[Content]>,
    /// How it is read below `Event`, where that is always the same.
    pub(super) plan: Option<Box<Plan>>,
}

impl Element {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What looking at it once is accounted for.
    pub(super) fn cost(&self) -> usize {
        1 + self.attributes.len() + self.content.len()
    }
}

/// An attribute: its name, and what is joined to its value.
#[derive(Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) name: Box<str>,
    pub(super) value: Box<[Piece]>,
}

/// What stands between the tags of an element.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Element(Element),
    Piece(Piece),
    Instruction { target: Box<str>, data: Box<str> },
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::event_log) enum Piece {
    Text(Box<str>),
    Cdata(Box<str>),
    Character(char),
    Entity(Box<str>),
    /// The value with this number.
    Value(u16),
}

/// Whether elements name the value they depend on: those of templates do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Template,
    Plain,
}

/// Reads elements, one after another or within one another.
pub(super) struct Elements<'a, 'b> {
    pub(super) bytes: &'b mut Bytes<'a>,
    pub(super) place: Place,
}

impl Elements<'_, '_> {
    /// One element, with at most `depth` elements within one another.
    pub(super) fn element(&mut self, depth: usize) -> Result<Element, Problem> {
        let depth = depth.checked_sub(1).ok_or(Problem::Depth)?;
        let open = self.expect(&[token::OPEN_ELEMENT, token::OPEN_ELEMENT_WITH_ATTRIBUTES])?;
        let dependency = match self.place {
            Place::Template => Some(self.bytes.u16()?).filter(|number| *number != 0xffff),
            Place::Plain => None,
        };
        // The lengths are there to skip an element, which is never done here: the tokens decide.
        self.bytes.clone().part(self.bytes.clone().size()?)?;
        self.bytes.size()?;
        let name = self.name()?;
        let attributes = match open {
            token::OPEN_ELEMENT_WITH_ATTRIBUTES => self.attributes()?,
            _ => Box::default(),
        };
        let content = match self.expect(&[token::CLOSE_START_TAG, token::CLOSE_EMPTY_ELEMENT])? {
            token::CLOSE_START_TAG => self.content(depth)?,
            _ => Box::default(),
        };
        Ok(Element { name, dependency, attributes, content, plan: None })
    }

    fn attributes(&mut self) -> Result<Box<[Attribute]>, Problem> {
        self.bytes.size()?;
        let mut attributes = Vec::new();
        while self.bytes.peek()? & !token::MORE == token::ATTRIBUTE {
            self.bytes.u8()?;
            let name = self.name()?;
            let mut value = Vec::new();
            while let Some(piece) = self.piece()? {
                value.push(piece);
            }
            attributes.push(Attribute { name, value: value.into() });
        }
        Ok(attributes.into())
    }

    /// Up to and including the end tag.
    fn content(&mut self, depth: usize) -> Result<Box<[Content]>, Problem> {
        let mut content = Vec::new();
        loop {
            content.push(match self.bytes.peek()? {
                token::END_ELEMENT => break,
                token::OPEN_ELEMENT | token::OPEN_ELEMENT_WITH_ATTRIBUTES => {
                    Content::Element(self.element(depth)?)
                }
                token::INSTRUCTION_TARGET => self.instruction()?,
                token if token & !token::MORE == token::CDATA => {
                    self.bytes.u8()?;
                    Content::Piece(Piece::Cdata(self.counted()?))
                }
                token => match self.piece()? {
                    Some(piece) => Content::Piece(piece),
                    None => return Err(Problem::Token { at: self.bytes.at(), token }),
                },
            });
        }
        self.bytes.u8()?;
        Ok(content.into())
    }

    /// What may stand in an attribute as well as in an element; `None` when none of this is next.
    fn piece(&mut self) -> Result<Option<Piece>, Problem> {
        let next = self.bytes.peek()?;
        let known = match next {
            token::SUBSTITUTION | token::OPTIONAL_SUBSTITUTION => self.place == Place::Template,
            _ => matches!(next & !token::MORE, token::TEXT | token::CHARACTER | token::ENTITY),
        };
        if !known {
            return Ok(None);
        }
        self.bytes.u8()?;
        Ok(Some(match next & !token::MORE {
            token::TEXT => {
                self.expect(&[token::STRING])?;
                Piece::Text(self.counted()?)
            }
            token::CHARACTER => {
                let char = char::from_u32(self.bytes.u16()?.into());
                Piece::Character(char.unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            token::ENTITY => Piece::Entity(self.name()?),
            _ => {
                let number = self.bytes.u16()?;
                // The type that the value should have: the value itself says which it has.
                self.bytes.u8()?;
                Piece::Value(number)
            }
        }))
    }

    /// A processing instruction.
    pub(super) fn instruction(&mut self) -> Result<Content, Problem> {
        self.expect(&[token::INSTRUCTION_TARGET])?;
        let target = self.name()?;
        self.expect(&[token::INSTRUCTION_DATA])?;
        Ok(Content::Instruction { target, data: self.counted()? })
    }

    /// One of `tokens`, which is taken.
    fn expect(&mut self, tokens: &[u8]) -> Result<u8, Problem> {
        let at = self.bytes.at();
        let token = self.bytes.u8()?;
        match tokens.contains(&token) {
            true => Ok(token),
            false => Err(Problem::Token { at, token }),
        }
    }

    /// A name: its hash, which is of no use here, its length, and a NUL behind it.
    fn name(&mut self) -> Result<Box<str>, Problem> {
        self.bytes.u16()?;
        let name = self.counted()?;
        self.bytes.u16()?;
        Ok(name)
    }

    /// A text after the number of its UTF-16 units.
    fn counted(&mut self) -> Result<Box<str>, Problem> {
        let units = usize::from(self.bytes.u16()?);
        Ok(Utf16::new(self.bytes.take(2 * units)?).to_text().into())
    }
}
