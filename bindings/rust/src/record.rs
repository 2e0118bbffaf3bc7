//! Structs that are messages.

use crate::error::Result;
use crate::plain::Plain;
use crate::schema::Schema;

/// The type of a field in a schema. Numbers, arrays, and structs of [`record!`](crate::record).
pub trait Field: Plain {
    /// Appends the type without its array counts, and the counts, outermost first.
    #[doc(hidden)]
    fn describe(text: &mut String, counts: &mut Vec<usize>);
}

impl<T: Field, const N: usize> Field for [T; N] {
    fn describe(text: &mut String, counts: &mut Vec<usize>) {
        counts.push(N);
        T::describe(text, counts);
    }
}

/// A struct with a name and a version: a schema. [`record!`](crate::record) implements it.
pub trait Record: Plain {
    /// Name and version, such as `"Sample 1.0.0"`.
    const NAME: &'static str;

    /// The text form of the schema.
    fn schema_text() -> String;

    /// The schema of this struct, for [`ProducerOptions::schema`](crate::ProducerOptions::schema)
    /// and [`ConsumerOptions::schema`](crate::ConsumerOptions::schema). Errors: as
    /// [`Schema::parse`].
    fn schema() -> Result<Schema> {
        Schema::parse(&Self::schema_text())
    }
}

/// Appends one field of a struct to the text form. For [`record!`](crate::record).
#[doc(hidden)]
pub fn field<T: Field>(text: &mut String, name: &str) {
    let mut counts = Vec::new();
    text.push_str(name.trim_start_matches("r#"));
    text.push_str(": ");
    T::describe(text, &mut counts);
    for count in counts {
        text.push_str(&format!("[{count}]"));
    }
    text.push_str("; ");
}

/// Defines structs that are plain data: [`Plain`], `Clone`, `Copy` and `#[repr(C)]`. A name and a
/// version before a struct make it a [`Record`], which has a schema.
///
/// A struct with padding, or with a field that is not plain, does not compile.
///
/// ```
/// datablock::record! {
///     /// A point.
///     #[derive(Debug, PartialEq)]
///     pub struct Point { pub x: f32, pub y: f32 }
///
///     "Sample 1.2.0":
///     pub struct Sample { pub time: u64, pub value: [[i16; 2]; 4], pub at: [Point; 2] }
/// }
///
/// use datablock::Record;
/// # fn main() -> datablock::Result<()> {
/// let schema = Sample::schema()?;
/// let line = "Sample{time:u64@0,value:i16[4][2]@8,at:{x:f32@0,y:f32@4}8/4[2]@24}40/8";
/// assert_eq!(schema.canonical(), line);
/// assert_eq!(schema.version(), (1, 2, 0));
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0080
/// datablock::record! {
///     pub struct Padded { pub kind: u8, pub time: u64 }
/// }
/// ```
///
/// ```compile_fail,E0277
/// datablock::record! {
///     pub struct Flagged { pub flag: bool }
/// }
/// ```
#[macro_export]
macro_rules! record {
    () => {};
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        $visibility struct $name {
            $($(#[$field_meta])* $field_visibility $field: $type,)*
        }

        // SAFETY: repr(C), every field is plain, and the sizes of the fields leave no padding.
        unsafe impl $crate::Plain for $name {}

        impl $crate::Field for $name {
            fn describe(text: &mut ::std::string::String, _: &mut ::std::vec::Vec<usize>) {
                text.push_str("{ ");
                $($crate::field::<$type>(text, stringify!($field));)*
                text.push('}');
            }
        }

        const _: () = {
            const SIZE: usize = 0 $(+ ::std::mem::size_of::<$type>())*;
            assert!(::std::mem::size_of::<$name>() == SIZE, "the struct has padding: add fields in its place");
            assert!(SIZE > 0, "the struct has no bytes");
        };

        $crate::record! { $($rest)* }
    };
    (
        $schema:literal:
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        $crate::record! {
            $(#[$meta])*
            $visibility struct $name { $($fields)* }
        }

        impl $crate::Record for $name {
            const NAME: &'static str = $schema;

            fn schema_text() -> ::std::string::String {
                let mut text = ::std::format!("schema {} ", $schema);
                <$name as $crate::Field>::describe(&mut text, &mut ::std::vec::Vec::new());
                text
            }
        }

        $crate::record! { $($rest)* }
    };
}
