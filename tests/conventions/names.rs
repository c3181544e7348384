//! Names that have been replaced by the terms of the field do not return.

use crate::{assert_none, rust_files, text};

/// The folders in which the names are looked for, comments included.
const FOLDERS: [&str; 3] = ["server", "method-sdk", "methods"];

/// The command that prints the same findings.
const COMMAND: &str = "grep -rnwE --include='*.rs' '{}' server method-sdk methods";

/// Replaced names that have no other meaning, each with its successor.
const REPLACED: &[(&str, &str)] = &[
    ("Front", "AppState"),
    ("Arrival", "RequestGuard"),
    ("Places", "ConnectionLimiter, ModuleIndex"),
    ("until_end", "drive"),
    ("refuse_new", "drop_new_syns"),
    ("Verb", "http::Method"),
    ("Door", "Endpoint"),
    ("Outgoing", "EncodedResponse"),
    ("Inflight", "InFlightCall"),
    ("Detached", "DetachedCalls"),
    ("StreamGuard", "DisconnectGuard"),
    ("CutShort", "IncompleteStream"),
    ("BuiltIn", "Static"),
    ("Verdict", "PasswordCheck"),
    ("is_ancestors", "is_legacy_hash"),
    ("remove_expired", "delete_expired"),
    ("end_session", "delete_session"),
    ("end_sessions", "delete_sessions"),
    ("Gate", "DatabaseGuard"),
    ("Lent", "LeasedConnection"),
    ("transact", "transaction"),
    ("OpenError", "StoreError"),
    ("Contents", "ArgSource, EnvSource, FileSource"),
    ("CommandLine", "Cli"),
    ("Told", "Result"),
    ("told_to_stop", "shutdown_signal"),
    ("sharing_its_listener", "with_inherited_listener"),
    ("Leaving", "CallState"),
    ("ClientGone", "ClientDisconnected"),
    ("late_hook", "take_pending_hook"),
    ("Misfit", "ParameterError"),
    ("may_pass", "is_transient"),
    ("read_either", "read_body_or_query"),
    ("is_nothing", "is_unit"),
    ("Answerable", "IntoAnswer"),
    ("Returned", "IntoMethodResult"),
    ("sendable", "assert_send"),
    ("Unread", "RawParams"),
    ("OwnedInput", "RawParams"),
    ("Making", "MethodSources"),
    ("Makings", "MethodSources"),
    ("Needs", "DependencyClosure"),
    ("is_settled", "is_racy"),
    ("OWN_URLS", "RESERVED_PATHS"),
    ("is_near", "is_typo_of"),
    ("Follower", "DevLoop"),
    ("patience", "debounce_remaining"),
    ("blame", "attribute_errors"),
    ("may_lack", "may_be_missing_item"),
    ("become_new", "exec_replacement"),
    ("Stamp", "FileStamp"),
    ("PATIENCE", "TIMEOUT"),
];

#[test]
fn replaced_names_do_not_return() {
    let mut findings = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| rust_files(folder)) {
        for (number, line) in (1..).zip(text(&path).unwrap().lines()) {
            for word in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
                if let Some((_, successor)) = REPLACED.iter().find(|(name, _)| *name == word) {
                    findings.push(format!("{path}:{number}: `{word}` is now `{successor}`"));
                }
            }
        }
    }
    let names: Vec<&str> = REPLACED.iter().map(|(name, _)| *name).collect();
    let command = COMMAND.replace("{}", &names.join("|"));
    println!("{command}");
    assert_none(&findings, &format!("replaced names; to search for them, run\n{command}\n"));
}
