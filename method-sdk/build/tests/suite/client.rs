//! The generated clients. That they pass the strictest checks, and call, is a test of the toolchain.

use method_build::client::{python, typescript};
use method_build::{Contract, Package};

const NONE: &str =
    "use method_sdk::prelude::*;\npub async fn invoke(_: &mut Handler, _: ()) -> Result<()> { Ok(()) }\n";

fn contract(files: &[(&str, &str)]) -> Contract {
    let package = Package { name: "shop".to_owned(), ..Package::default() };
    method_build::read(&crate::folder(files).path().join("methods"), package).unwrap().contract()
}

/// Returns the text of a client's first file.
fn text(files: Vec<method_build::client::ClientFile>) -> String {
    files.into_iter().next().unwrap().text
}

#[test]
fn names_that_would_be_the_same_are_numbered() {
    let typed = "use method_sdk::prelude::*;\n#[derive(Deserialize)]\npub struct Params { pub a: u8 }\npub async fn invoke(_: &mut Handler, _: Params) -> Result<()> { Ok(()) }\n";
    let contract = contract(&[("a_b/m.rs", typed), ("a/b/m.rs", typed)]);
    let (python, typescript) = (text(python(&contract)), text(typescript(&contract)));
    for name in ["ABMParams", "ABMParams2"] {
        assert!(python.contains(&format!("\nclass {name}(TypedDict):")), "{name}: {python}");
        assert!(typescript.contains(&format!("\nexport interface {name} {{")), "{name}: {typescript}");
    }
    for class in ["_AB", "_AB2"] {
        assert_eq!(python.matches(&format!("\nclass {class}:")).count(), 1, "{class}: {python}");
    }
    // Names that the client has already.
    let taken = typed.replace("Params", "Error");
    let taken = self::contract(&[("api.rs", &taken)]);
    for text in [text(self::python(&taken)), text(self::typescript(&taken))] {
        assert!(text.contains(" ApiError2") && text.matches("class ApiError2(").count() <= 1, "{text}");
    }
}

#[test]
fn keywords_and_comments_do_not_break_the_languages() {
    let text_of =
        "//! Ends a comment: */ and \\\"\"\"quotes\"\"\".\n//!\n//! A second paragraph.\nuse method_sdk::prelude::*;
        #[derive(Deserialize)]
        pub struct Params { /// Of */ both.
            pub from: u8, #[serde(rename = \"a-b\")] pub ab: Option<u8>, #[serde(alias = \"old\")] pub new: u8 }
        pub async fn invoke(_: &mut Handler, _: Params) -> Result<()> { Ok(()) }
    ";
    let contract = contract(&[("pass/class.rs", text_of), ("lambda.rs", NONE)]);
    let python = text(python(&contract));
    assert!(
        python.contains("self.pass_ = _Pass(connection)")
            && python.contains("    def class_(self, parameters: PassClassParams) -> None:"),
        "{python}"
    );
    assert!(
        python.contains("\"from\": \"int\",") && python.contains("\"a-b\": \"NotRequired[int | None]\","),
        "{python}"
    );
    assert!(!python.contains("\"old\"") && python.contains("    def lambda_(self) -> None:"), "{python}");
    let typescript = text(typescript(&contract));
    assert!(
        typescript.contains("  from: number;\n") && typescript.contains("  \"a-b\"?: number | null;\n"),
        "{typescript}"
    );
    assert!(typescript.contains("/** Of * / both. */") && !typescript.contains("old"), "{typescript}");
    assert!(
        typescript.contains("    class(parameters: PassClassParams, options?: CallOptions): Promise<void>;"),
        "{typescript}"
    );
    assert!(typescript.contains("  lambda(options?: CallOptions): Promise<void>;"), "{typescript}");
}
