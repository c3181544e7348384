//! `#[cfg(..)]` and `#[cfg_attr(..)]`, evaluated for the features of a build.

use std::collections::BTreeSet;

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Fields, Item, ItemEnum, Meta, Token};

use crate::attributes::string;

/// Removes the items, variants and fields of a file that a build with these features does not have, and replaces `cfg_attr` by the
/// attributes that it stands for. What depends on anything but features is kept.
pub(crate) fn apply(file: &mut syn::File, features: &BTreeSet<String>) {
    Conditions { features }.visit_file_mut(file);
}

struct Conditions<'a> {
    features: &'a BTreeSet<String>,
}

impl Conditions<'_> {
    fn includes(&self, attributes: &[Attribute]) -> bool {
        let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        conditions
            .filter_map(|attribute| attribute.parse_args().ok())
            .all(|condition| self.holds(&condition) != Some(false))
    }

    /// Evaluates a condition. Returns `None` if it depends on anything but features.
    fn holds(&self, condition: &Meta) -> Option<bool> {
        match condition {
            Meta::NameValue(pair) if pair.path.is_ident("feature") => {
                Some(self.features.contains(&string(&pair.value)?))
            }
            Meta::List(list) => {
                let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
                let mut parts = parts.iter().map(|part| self.holds(part));
                if list.path.is_ident("not") {
                    return Some(!parts.next()??);
                }
                // One part that decides is enough, even if others are unknown.
                let decisive = if list.path.is_ident("any") {
                    true
                } else if list.path.is_ident("all") {
                    false
                } else {
                    return None;
                };
                let results: Vec<Option<bool>> = parts.collect();
                if results.contains(&Some(decisive)) {
                    return Some(decisive);
                }
                results.iter().all(Option::is_some).then_some(!decisive)
            }
            Meta::NameValue(_) | Meta::Path(_) => None,
        }
    }

    fn retain_fields(&self, fields: &mut Fields) {
        let fields = match fields {
            Fields::Named(fields) => &mut fields.named,
            Fields::Unnamed(fields) => &mut fields.unnamed,
            Fields::Unit => return,
        };
        *fields = std::mem::take(fields).into_iter().filter(|field| self.includes(&field.attrs)).collect();
    }
}

impl VisitMut for Conditions<'_> {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        let expand = |attribute: Attribute| {
            if !attribute.path().is_ident("cfg_attr") {
                return vec![attribute];
            }
            let parts = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
            let mut parts = parts.into_iter();
            if parts.next().and_then(|condition| self.holds(&condition)) == Some(false) {
                return Vec::new();
            }
            parts.map(|meta| Attribute { meta, ..attribute.clone() }).collect()
        };
        *attributes = std::mem::take(attributes).into_iter().flat_map(expand).collect();
    }

    fn visit_file_mut(&mut self, file: &mut syn::File) {
        visit_mut::visit_file_mut(self, file);
        file.items.retain(|item| self.includes(item_attributes(item)));
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        visit_mut::visit_item_mod_mut(self, module);
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| self.includes(item_attributes(item)));
        }
    }

    fn visit_fields_mut(&mut self, fields: &mut Fields) {
        visit_mut::visit_fields_mut(self, fields);
        self.retain_fields(fields);
    }

    fn visit_item_enum_mut(&mut self, item: &mut ItemEnum) {
        visit_mut::visit_item_enum_mut(self, item);
        item.variants =
            std::mem::take(&mut item.variants).into_iter().filter(|variant| self.includes(&variant.attrs)).collect();
    }

    /// Bodies of functions declare nothing that the contract reads.
    fn visit_block_mut(&mut self, _: &mut syn::Block) {}
}

fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(syn::ItemConst { attrs, .. })
        | Item::Enum(ItemEnum { attrs, .. })
        | Item::Fn(syn::ItemFn { attrs, .. })
        | Item::Impl(syn::ItemImpl { attrs, .. })
        | Item::Mod(syn::ItemMod { attrs, .. })
        | Item::Struct(syn::ItemStruct { attrs, .. })
        | Item::Type(syn::ItemType { attrs, .. })
        | Item::Use(syn::ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}
