//! Finds the installed library: in `DATABLOCK_LIB_DIR`, or by pkg-config. Nothing is downloaded,
//! and no C compiler is needed.
//!
//! `links = "datablock"` gives the build scripts of dependent packages `DEP_DATABLOCK_LIBDIR`, the
//! folder of the library, for example for an rpath.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

fn main() {
    for variable in ["DATABLOCK_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("DOCS_RS").is_some() {
        return; // the documentation is made without the library
    }
    let folders = match env::var_os("DATABLOCK_LIB_DIR") {
        Some(folder) => vec![given(PathBuf::from(folder))],
        None => by_pkg_config(),
    };
    for folder in &folders {
        println!("cargo:rustc-link-search=native={}", folder.display());
        // This package's own tests and examples find the library too.
        if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
        }
    }
    println!("cargo:rustc-link-lib=dylib=datablock");
    if let Some(folder) = folders.first() {
        println!("cargo:libdir={}", folder.display());
    }
}

/// Checks the folder that the user has named.
fn given(folder: PathBuf) -> PathBuf {
    const NAMES: [&str; 4] = ["libdatablock.so", "libdatablock.dylib", "libdatablock.dll.a", "datablock.lib"];
    if !NAMES.iter().any(|name| folder.join(name).exists()) {
        fail(&format!(
            "DATABLOCK_LIB_DIR is {}, and this folder has none of {}",
            folder.display(),
            NAMES.join(", ")
        ));
    }
    // An rpath that is not absolute would depend on where the program is started.
    folder.canonicalize().unwrap_or(folder)
}

/// Asks pkg-config. The result is empty if the library is where the linker searches anyway.
fn by_pkg_config() -> Vec<PathBuf> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let answer = Command::new(&program).args(["--libs", "datablock >= 1.0"]).output();
    let missing = match answer {
        Ok(out) if out.status.success() => {
            return folders_of(&String::from_utf8_lossy(&out.stdout));
        }
        Ok(out) => String::from_utf8_lossy(&out.stderr).trim().to_string(),
        Err(error) => format!("{} cannot be run: {error}", Path::new(&program).display()),
    };
    fail(&format!(
        "libdatablock was not found. Install DataBlock (make install PREFIX=...) and set PKG_CONFIG_PATH to \
         PREFIX/lib/pkgconfig, or set DATABLOCK_LIB_DIR to the folder of libdatablock.so. pkg-config said: {missing}"
    ))
}

/// The folders of `-L` in what pkg-config prints. A backslash quotes the next character.
fn folders_of(flags: &str) -> Vec<PathBuf> {
    let mut words = vec![String::new()];
    let mut characters = flags.trim().chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => words.last_mut().unwrap().extend(characters.next()),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.iter().filter_map(|word| word.strip_prefix("-L")).map(PathBuf::from).collect()
}

fn fail(why: &str) -> ! {
    eprintln!("datablock: {why}");
    exit(1)
}
