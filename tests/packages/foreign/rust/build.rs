//! Writes the folder of the library into the program, as the README of the crate says.

fn main() {
    if let Ok(folder) = std::env::var("DEP_DATABLOCK_LIBDIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
