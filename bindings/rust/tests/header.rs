//! `datablock::sys` is what `datablock.h` says. A C compiler compares both: each struct has the
//! same fields with the same types, in the same order, at the same offsets; each function has the
//! same signature; each constant has the same value; and neither side has more than the other.

use datablock::sys;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const TYPES: &str = include_str!("../src/sys/mod.rs");
const FUNCTIONS: &str = include_str!("../src/sys/functions.rs");

/// The folder of the header: in the sources, or beside the library.
fn include() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    match std::env::var_os("DATABLOCK_INCLUDE_DIR") {
        Some(folder) => folder.into(),
        None => sources,
    }
}

fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(out.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn compiler() -> Command {
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.arg("-I").arg(include());
    command
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("datablock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The header as plain declarations.
fn declarations() -> String {
    run(compiler()
        .args(["-E", "-P", "-DDATABLOCK_DECLARATIONS_ONLY", "-include", "stdbool.h", "-include", "stdint.h"])
        .arg(include().join("datablock.h")))
}

/// A type of Rust in C, without a name.
fn in_c(rust: &str) -> String {
    let rust = rust.trim();
    if let Some(to) = rust.strip_prefix("*const ") {
        return format!("const {} *", in_c(to));
    }
    if let Some(to) = rust.strip_prefix("*mut ") {
        return format!("{} *", in_c(to));
    }
    match rust {
        "u8" | "u16" | "u32" | "u64" | "i64" => {
            format!("{}{}_t", if rust.starts_with('u') { "uint" } else { "int" }, &rust[1..])
        }
        "usize" => "size_t".into(),
        "c_int" => "int".into(),
        "c_char" => "char".into(),
        "c_void" => "void".into(),
        "bool" => "bool".into(),
        name if name.starts_with("datablock_schema_layout") || name == "datablock_schema" => {
            format!("struct {name}")
        }
        name => name.into(),
    }
}

/// The structs of the module: name, and the names and types of the fields.
fn structs() -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    let mut lines = TYPES.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("pub struct ") else { continue };
        let fields = lines
            .by_ref()
            .take_while(|line| *line != "}")
            .map(|line| {
                let field = line.trim().trim_start_matches("pub ").trim_end_matches(',');
                let (name, rust) = field.split_once(": ").unwrap();
                (name.trim_start_matches("r#").to_string(), rust.to_string())
            })
            .collect();
        found.push((name.trim_end_matches(" {").to_string(), fields));
    }
    found
}

/// The functions of the module: name, and the whole declaration in C.
fn functions() -> BTreeMap<String, String> {
    let one_line = FUNCTIONS.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = BTreeMap::new();
    for declared in one_line.split("pub fn ").skip(1) {
        let (name, rest) = declared.split_once('(').unwrap();
        let (arguments, rest) = rest.split_once(')').unwrap();
        let result = rest.split_once(';').unwrap().0.trim();
        let result = result.strip_prefix("-> ").map_or("void".into(), in_c);
        let types: Vec<_> = arguments
            .split(", ")
            .map(|argument| argument.trim().trim_end_matches(','))
            .filter(|argument| !argument.is_empty())
            .map(|argument| in_c(argument.split_once(": ").unwrap().1))
            .collect();
        let types = if types.is_empty() { "void".into() } else { types.join(", ") };
        found.insert(name.to_string(), format!("extern {result} {name}({types});"));
    }
    found
}

/// The constants of the module: name and value.
fn constants() -> Vec<(String, String)> {
    TYPES
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("pub const ")?.split_once(": ")?;
            let value = rest.split_once(" = ")?.1.trim_end_matches(';');
            Some((name.to_string(), value.replace("u64::MAX", "UINT64_MAX")))
        })
        .collect()
}

#[test]
fn the_compiler_accepts_each_declaration_beside_the_header() {
    let mut program = String::from("#include <datablock.h>\n#include <stddef.h>\n");
    for name in ["datablock_config_init", "datablock_consumer_options_init"] {
        program += &format!("#undef {name}\n"); // a macro of the function's name
    }
    for declaration in functions().values() {
        if !declaration.contains(" datablock_of_") {
            program += &format!("{declaration}\n");
        }
    }
    for (name, value) in constants() {
        program += &format!("_Static_assert(({name}) == ({value}), \"{name}\");\n");
    }
    for (name, fields) in structs() {
        program += &format!("struct own_{name} {{\n");
        for (field, rust) in &fields {
            let (item, count) = match rust.strip_prefix('[').and_then(|array| array.strip_suffix(']')) {
                Some(array) => {
                    array.split_once("; ").map(|(item, count)| (item, format!("[{count}]"))).unwrap()
                }
                None => (rust.as_str(), String::new()),
            };
            program += &format!("    {} {field}{count};\n", in_c(item));
        }
        program += "};\n";
        program += &format!("_Static_assert(sizeof(struct own_{name}) == sizeof({name}), \"{name}\");\n");
        for (field, _) in &fields {
            program += &format!(
                "_Static_assert(offsetof(struct own_{name}, {field}) == offsetof({name}, {field}) && \
                 __builtin_types_compatible_p(__typeof__(((struct own_{name} *)0)->{field}), \
                 __typeof__((({name} *)0)->{field})), \"{name}.{field}\");\n"
            );
        }
    }
    let folder = Folder::new("header");
    let file = folder.0.join("header.c");
    std::fs::write(&file, program).unwrap();
    run(compiler().args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]).arg(&file));
}

#[test]
fn neither_side_has_more_than_the_other() {
    let header = declarations();
    let names = |of: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (at, _) in header.match_indices(of) {
            let before = header[..at].chars().next_back().unwrap_or(' ');
            let name: String =
                header[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !before.is_alphanumeric() && before != '_' {
                found.insert(name);
            }
        }
        found
    };
    let called: BTreeSet<_> =
        names("datablock_").into_iter().filter(|name| header.contains(&format!("{name}("))).collect();
    assert_eq!(called, functions().into_keys().collect(), "functions");
    assert!(called.len() > 60, "only {} functions were found", called.len());

    // The names that the preprocessor keeps are those of enums. Macros with a number come from -dM.
    let text = std::fs::read_to_string(include().join("datablock.h")).unwrap();
    let macros = text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("#define ")?.split_whitespace();
        let (name, value) = (words.next()?, words.next()?);
        let number = value.starts_with(|c: char| c.is_ascii_digit()) || value == "UINT64_MAX";
        (number && !name.ends_with("_PATCH")).then(|| name.to_string())
    });
    let mut expected: BTreeSet<_> = names("DATABLOCK_").into_iter().chain(names("RECOVERY_")).collect();
    expected.extend(macros);
    expected.remove("DATABLOCK_STATUS_FORCE_INT");
    let own: BTreeSet<_> = constants().into_iter().map(|(name, _)| name).collect();
    assert_eq!(expected, own, "constants");

    let structs: BTreeSet<_> = structs().into_iter().map(|(name, _)| name).collect();
    let expected: BTreeSet<_> = header
        .match_indices("typedef struct ")
        .map(|(at, word)| header[at + word.len()..].split_whitespace().next().unwrap().to_string())
        .filter(|name| name != "{") // of the system
        .collect();
    assert_eq!(expected, structs, "structs");
}

/// Sizes and offsets of a struct as the Rust compiler makes them.
macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {
        vec![$((
            stringify!($name),
            std::mem::size_of::<sys::$name>(),
            std::mem::align_of::<sys::$name>(),
            vec![$((stringify!($field).trim_start_matches("r#"), std::mem::offset_of!(sys::$name, $field))),*],
        )),*]
    };
}

#[test]
fn rust_lays_the_structs_out_as_c_does() {
    let layouts = layouts! {
        datablock_producer { handle }
        datablock_consumer { handle }
        datablock_observer { handle }
        datablock_participant { handle }
        datablock_config {
            size, flags, policy, slot_count, spare_slots, alignment, slot_size, consumer_limit, min_consumers, mode,
            checksum, directory, secret, secret_length, retention_ms, zone_size, schema, registered, registry,
            zone_schema, reserved, algorithm, reserved1
        }
        datablock_write_slot { data, capacity, id, index, reserved }
        datablock_consumer_options {
            size, delivery, start, max_pins, durable, reserved0, name, directory, secret, secret_length, schema,
            schema_mode, reserved1, registered, registry, zone_schema, reserved, wait_ms
        }
        datablock_read_slot { data, length, id, timestamp_ns, missed, index, token }
        datablock_waker { woken }
        datablock_message { data, length }
        datablock_copied { id, length, timestamp_ns, missed, index, reserved }
        datablock_observation { id, length, timestamp_ns, next_id, index, reserved }
        datablock_schema { canonical, bytes, alignment, major, minor, patch, hash }
        datablock_schema_field { name, r#type, nested, offset, size, dims }
        datablock_schema_layout { fields, count, size, alignment }
        datablock_zone { data, size, writes, abandoned, intact }
        datablock_block_info {
            name, checksum, algorithm, total_bytes, slot_size, next_id, producer_pid, slot_count, spare_slots,
            policy, consumers, consumer_limit, state
        }
        SlotDiagnostic {
            slot_id, slot_index, slot_state, write_lock, reader_count, write_generation, writer_waiting, is_stuck,
            stuck_duration_ms
        }
        IntegrityCheck { header_valid, slot_states_valid, checksum_valid, corrupted_slots, error_message }
        datablock_recovery_step { kind, target, pid, result, done, text }
        datablock_participant_info {
            name, pid, start_time, pid_namespace, attached_ns, died_ns, cursor, lag, read, missed, bytes, waits,
            wait_ns, timeouts, lost, overruns, checksum_failures, silent_ms, uid, row, delivery, pins, alive, durable,
            reserved
        }
        datablock_metrics {
            size, consumers, next_id, written, bytes, aborted, fenced, waits, wait_ns, timeouts, scans, cleaned,
            recoveries, age_ms, idle_ms, read, missed, lost, overruns, checksum_failures, max_lag, schema_mismatches
        }
        datablock_recovery_record { number, time_ns, pid, uid, action, target, before, after, text }
    };
    let declared: Vec<_> = structs();
    assert_eq!(declared.len(), layouts.len(), "a struct is missing in this list");
    let mut program = String::from("#include <datablock.h>\n#include <stdio.h>\nint main(void) {\n");
    let mut expected = String::new();
    for (name, size, alignment, fields) in &layouts {
        let own = &declared.iter().find(|(declared, _)| declared == name).unwrap().1;
        let names: Vec<_> = own.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(names, fields.iter().map(|(field, _)| *field).collect::<Vec<_>>(), "{name}");
        program += &format!("printf(\"{name} %zu %zu\\n\", sizeof({name}), _Alignof({name}));\n");
        expected += &format!("{name} {size} {alignment}\n");
        for (field, offset) in fields {
            program += &format!("printf(\"{name}.{field} %zu\\n\", offsetof({name}, {field}));\n");
            expected += &format!("{name}.{field} {offset}\n");
        }
    }
    program += "return 0;\n}\n";
    let folder = Folder::new("layout");
    let (source, binary) = (folder.0.join("layout.c"), folder.0.join("layout"));
    std::fs::write(&source, program).unwrap();
    run(compiler().arg("-o").arg(&binary).arg(&source));
    assert_eq!(run(&mut Command::new(&binary)), expected);
}

#[test]
fn each_status_has_a_variant() {
    let statuses: Vec<_> = constants()
        .into_iter()
        .filter(|(name, _)| name.starts_with("DATABLOCK_E_"))
        .map(|(_, value)| value.parse::<i32>().unwrap())
        .collect();
    assert_eq!(datablock::Error::STATUSES, statuses);
}
