//! Schemas: what the bytes of a message mean.

use crate::error::{check, Result};
use crate::{sys, text};
use std::ffi::CStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How the schema that a consumer expects is compared with the block's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaMode {
    /// The same name and major version, and the block has every field of the consumer, with the
    /// same type, count and offset.
    #[default]
    Compatible = sys::DATABLOCK_SCHEMA_COMPATIBLE as isize,
    /// Compatible, and the hashes are equal.
    Exact = sys::DATABLOCK_SCHEMA_EXACT as isize,
}

/// The names, types, counts and offsets of the fields of a struct. A clone shares the memory.
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// use datablock::Schema;
///
/// let text = "schema Sample 1.0.0 { time: u64; value: f64[3]; name: char[16]; }";
/// let schema = Schema::parse(text)?;
/// assert_eq!(schema.canonical(), "Sample{time:u64@0,value:f64[3]@8,name:char[16]@32}48/8");
/// assert_eq!(schema.hash()[..4], [0x05, 0x25, 0x16, 0xac]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Schema(Arc<Owned>);

struct Owned(sys::datablock_schema);

// SAFETY: a schema is memory that nobody changes, and every thread may call its functions.
unsafe impl Send for Owned {}
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        unsafe { sys::datablock_schema_free(&mut self.0) };
    }
}

impl Schema {
    /// Reads the text form. [`Error::Invalid`](crate::Error::Invalid) names line and column of a
    /// fault.
    pub fn parse(text: &str) -> Result<Schema> {
        let text = text::text(text.as_bytes())?;
        Schema::made(|out| unsafe { sys::datablock_schema_parse(text.as_ptr(), out) })
    }

    /// The schema of a block, also without a producer. Errors: `Schema` (the block has none),
    /// `NotFound`, `Access`, `Corrupt`, `Version`, `Invalid`, `System`.
    pub fn of_block(name: impl AsRef<Path>) -> Result<Schema> {
        let name = text::path(name.as_ref())?;
        Schema::made(|out| unsafe { sys::datablock_schema_of_block(name.as_ptr(), out) })
    }

    /// The schema of the flexible zone of a block. Errors: as [`of_block`](Schema::of_block).
    pub fn of_zone(name: impl AsRef<Path>) -> Result<Schema> {
        let name = text::path(name.as_ref())?;
        Schema::made(|out| unsafe { sys::datablock_zone_schema_of_block(name.as_ptr(), out) })
    }

    /// The newest schema that a reference (`"SensorReading@2.1"`) names in a registry. `None` is
    /// the registry of `$DATABLOCK_SCHEMAS`, else `datablock/schemas` in `$XDG_DATA_HOME`, else in
    /// `~/.local/share`. Errors: `Invalid` (the reference, a relative path), `NotFound` (the text
    /// lists the versions that exist), `Access`, `System`.
    pub fn lookup(reference: &str, registry: Option<&Path>) -> Result<Schema> {
        let reference = text::text(reference.as_bytes())?;
        let registry = text::optional_path(registry)?;
        Schema::made(|out| unsafe {
            sys::datablock_schema_lookup(reference.as_ptr(), text::pointer(&registry), out)
        })
    }

    /// Adds the schema to a registry. To add the same schema again does nothing. Errors: `Invalid`
    /// (no version), `Schema` (the version rules, or another struct of that version), `Access`,
    /// `NoSpace`, `System`.
    pub fn register(&self, registry: Option<&Path>) -> Result<()> {
        let registry = text::optional_path(registry)?;
        check(unsafe { sys::datablock_schema_register(self.as_ptr(), text::pointer(&registry)) })
    }

    /// Checks whether a consumer that expects `consumer` can read the messages of this schema.
    /// [`Error::Schema`](crate::Error::Schema) names every field that differs.
    pub fn check(&self, consumer: &Schema, mode: SchemaMode) -> Result<()> {
        let mode = mode as sys::datablock_schema_mode;
        check(unsafe { sys::datablock_schema_check(self.as_ptr(), consumer.as_ptr(), mode) })
    }

    /// One line that describes all fields. The hash is the hash of this line.
    pub fn canonical(&self) -> &str {
        // SAFETY: the library made the text, zero-terminated ASCII, and keeps it until the last
        // drop.
        unsafe { CStr::from_ptr(self.0 .0.canonical) }.to_str().unwrap_or_default()
    }

    /// BLAKE2b-256 of the canonical line. The same struct has the same hash in every language.
    pub fn hash(&self) -> &[u8; 32] {
        &self.0 .0.hash
    }

    /// The size of the struct, in bytes.
    pub fn size(&self) -> u64 {
        self.0 .0.bytes
    }

    /// The alignment of the struct, in bytes.
    pub fn alignment(&self) -> u32 {
        self.0 .0.alignment
    }

    /// Major, minor and patch version, which are no part of line and hash.
    pub fn version(&self) -> (u32, u32, u32) {
        (self.0 .0.major, self.0 .0.minor, self.0 .0.patch)
    }

    pub(crate) fn as_ptr(&self) -> *const sys::datablock_schema {
        &self.0 .0
    }

    pub(crate) fn made(
        make: impl FnOnce(*mut sys::datablock_schema) -> sys::datablock_status,
    ) -> Result<Schema> {
        // SAFETY: numbers and a pointer of a struct of C, for which zero is valid.
        let mut schema: sys::datablock_schema = unsafe { std::mem::zeroed() };
        check(make(&mut schema))?;
        Ok(Schema(Arc::new(Owned(schema))))
    }
}

impl PartialEq for Schema {
    /// Equal hashes. The version does not count.
    fn eq(&self, other: &Schema) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.version();
        write!(f, "Schema({} {major}.{minor}.{patch})", self.canonical())
    }
}
