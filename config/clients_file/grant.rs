//! Adds grants to an enforcement point in the text of the clients file, and keeps the rest as it is.

use ipnet::IpNet;
use rollcall_identity::{Kind, Name};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use super::{AddPointError, PushGrants};

/// The text with the grants of `grants` that the enforcement point `name` does not have.
pub(super) fn with_grants(
    text: &str,
    name: &Name,
    grants: &PushGrants,
) -> Result<String, AddPointError> {
    let unknown = || AddPointError::Unknown(name.to_string());
    // A text that is no TOML is reported with its line when the result is validated.
    let Ok(mut document) = text.parse::<DocumentMut>() else { return Ok(text.to_owned()) };
    let point = point(&mut document, name).ok_or_else(unknown)?;
    let push = point.entry("push").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let push = push.as_table_like_mut().ok_or_else(unknown)?;
    let existing = push.entry("grants").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    for (kinds, networks) in grants.iter() {
        let grant = grant(kinds, networks);
        match existing {
            Item::ArrayOfTables(tables) if !tables.iter().any(|table| is_same(table, &grant)) => {
                tables.push(grant);
            }
            Item::Value(Value::Array(array)) => array.push(grant.into_inline_table()),
            _ => {}
        }
    }
    Ok(document.to_string())
}

/// The table of the enforcement point `name`.
fn point<'d>(document: &'d mut DocumentMut, name: &Name) -> Option<&'d mut Table> {
    let points = document.get_mut("enforcement")?.get_mut("points")?.as_array_of_tables_mut()?;
    points.iter_mut().find(|point| {
        let written = point.get("name").and_then(Item::as_str);
        let written = written.and_then(|written| Name::new(written).ok());
        written.is_some_and(|written| written.folded() == name.clone().folded())
    })
}

fn grant(kinds: &[Kind], networks: &[IpNet]) -> Table {
    let mut table = Table::new();
    let kinds: Array = kinds.iter().map(|kind| kind.as_str()).collect();
    let networks: Array = networks.iter().map(ToString::to_string).collect();
    table.insert("allow", kinds.into());
    table.insert("allow_networks", networks.into());
    table
}

/// Whether two grants have the same keys and values.
fn is_same(one: &Table, other: &Table) -> bool {
    let texts = |table: &Table| -> Vec<(String, String)> {
        let mut texts: Vec<_> = TableLike::iter(table)
            .map(|(key, item)| {
                (key.to_owned(), item.to_string().split_whitespace().collect::<String>())
            })
            .collect();
        texts.sort_unstable();
        texts
    };
    texts(one) == texts(other)
}
