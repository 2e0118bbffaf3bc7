//! How blocks are opened. Every setting that is not set has the library's default.

use crate::error::{check, Result};
use crate::schema::{Schema, SchemaMode};
use crate::timeout::Timeout;
use crate::{sys, text, Consumer, Observer, Producer};
use core::ffi::c_void;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many messages a block keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// One message, the newest. Consumers have LATEST by default.
    Single = sys::DATABLOCK_SINGLE as isize,
    /// Two messages; otherwise as [`Policy::Single`].
    DoubleBuffer = sys::DATABLOCK_DOUBLE_BUFFER as isize,
    /// The last `slot_count` messages. Consumers have LOSSLESS by default.
    Ring = sys::DATABLOCK_RING as isize,
}

/// Which messages a consumer gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// What the policy of the block says: LOSSLESS for a ring, else LATEST.
    #[default]
    ByPolicy = sys::DATABLOCK_DELIVERY_DEFAULT as isize,
    /// Every message, in order. The producer waits for the consumer.
    Lossless = sys::DATABLOCK_LOSSLESS as isize,
    /// In order. A consumer that is lapped skips messages, and `missed` counts them.
    Ordered = sys::DATABLOCK_ORDERED as isize,
    /// The newest message.
    Latest = sys::DATABLOCK_LATEST as isize,
}

/// The first message of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The next message after the attach; of a LATEST consumer the newest one that is there.
    #[default]
    Latest = sys::DATABLOCK_START_LATEST as isize,
    /// The oldest message that is there.
    Oldest = sys::DATABLOCK_START_OLDEST as isize,
}

/// Whether messages have checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// No checksums.
    #[default]
    None = sys::DATABLOCK_CHECKSUM_NONE as isize,
    /// [`WriteSlot::checksum`](crate::WriteSlot::checksum) makes them, and
    /// [`ReadSlot::verify`](crate::ReadSlot::verify) compares.
    Manual = sys::DATABLOCK_CHECKSUM_MANUAL as isize,
    /// Each commit makes one, and each read compares.
    Enforced = sys::DATABLOCK_CHECKSUM_ENFORCED as isize,
}

/// How checksums are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC32C in a new block, otherwise the algorithm of the block.
    #[default]
    ByBlock = sys::DATABLOCK_ALGORITHM_DEFAULT as isize,
    /// CRC32C: at the speed of memory.
    Crc32c = sys::DATABLOCK_ALGORITHM_CRC32C as isize,
    /// BLAKE2b: about a nanosecond for each byte.
    Blake2b = sys::DATABLOCK_ALGORITHM_BLAKE2B as isize,
}

/// What both sides say about a block: where it is, its secret, and its schema.
#[derive(Clone, Debug, Default)]
struct Common {
    directory: Option<PathBuf>,
    secret: Vec<u8>,
    schema: Option<Described>,
    zone_schema: Option<Described>,
    registered: Option<String>,
    registry: Option<PathBuf>,
}

/// A schema that was made before, or the text of one.
#[derive(Clone, Debug)]
enum Described {
    Schema(Schema),
    Text(String),
}

/// The memory that a struct of C points to during an open.
struct Held {
    directory: Option<CString>,
    schema: Option<Schema>,
    zone_schema: Option<Schema>,
    registered: Option<CString>,
    registry: Option<CString>,
}

impl Common {
    fn hold(&self) -> Result<Held> {
        let parsed = |schema: &Option<Described>| match schema {
            None => Ok(None),
            Some(Described::Schema(schema)) => Ok(Some(schema.clone())),
            Some(Described::Text(text)) => Schema::parse(text).map(Some),
        };
        Ok(Held {
            directory: text::optional_path(self.directory.as_deref())?,
            schema: parsed(&self.schema)?,
            zone_schema: parsed(&self.zone_schema)?,
            registered: text::optional(self.registered.as_deref())?,
            registry: text::optional_path(self.registry.as_deref())?,
        })
    }

    /// The pointer to the secret; null for none.
    fn secret(&self) -> *const c_void {
        if self.secret.is_empty() {
            std::ptr::null()
        } else {
            self.secret.as_ptr().cast()
        }
    }
}

fn schema_pointer(schema: &Option<Schema>) -> *const sys::datablock_schema {
    schema.as_ref().map_or(std::ptr::null(), Schema::as_ptr)
}

/// The setters of both sides.
macro_rules! common_setters {
    () => {
        /// The directory of a block with a plain name. The default is `$DATABLOCK_DIR`, then
        /// `/dev/shm`.
        #[must_use]
        pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
            self.common.directory = Some(directory.into());
            self
        }

        /// A secret that both sides give, against mix-ups; at most 1024 bytes.
        #[must_use]
        pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
            self.common.secret = secret.into();
            self
        }

        /// The type of a message.
        #[must_use]
        pub fn schema(mut self, schema: &Schema) -> Self {
            self.common.schema = Some(Described::Schema(schema.clone()));
            self
        }

        /// The type of a message in the text form, such as `"schema Sample 1.0.0 { time: u64; }"`.
        /// The open fails with [`Error::Invalid`](crate::Error::Invalid) where the text has a
        /// fault.
        #[must_use]
        pub fn schema_text(mut self, text: impl Into<String>) -> Self {
            self.common.schema = Some(Described::Text(text.into()));
            self
        }

        /// The type of the flexible zone.
        #[must_use]
        pub fn zone_schema(mut self, schema: &Schema) -> Self {
            self.common.zone_schema = Some(Described::Schema(schema.clone()));
            self
        }

        /// The type of the flexible zone in the text form.
        #[must_use]
        pub fn zone_schema_text(mut self, text: impl Into<String>) -> Self {
            self.common.zone_schema = Some(Described::Text(text.into()));
            self
        }

        /// The type of a message by a reference into the registry, such as `"SensorReading@2.1"`.
        #[must_use]
        pub fn registered(mut self, reference: impl Into<String>) -> Self {
            self.common.registered = Some(reference.into());
            self
        }

        /// The directory of the registry. [`Schema::lookup`] describes the default.
        #[must_use]
        pub fn registry(mut self, directory: impl Into<PathBuf>) -> Self {
            self.common.registry = Some(directory.into());
            self
        }
    };
}

/// Setters of plain numbers.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        })*
    };
}

/// The settings of a producer, and of the block that it creates.
///
/// A producer that opens an existing block must ask for the settings of that block. Otherwise the
/// open fails with [`Error::Geometry`](crate::Error::Geometry), and the text names the differences.
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// use datablock::{Policy, ProducerOptions};
///
/// let producer = ProducerOptions::new(Policy::Ring)
///     .slot_count(8)
///     .slot_size(4096)
///     .unlink_on_close(true)
///     .open(format!("doc-options-{}", std::process::id()))?;
/// producer.close()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    policy: Policy,
    slot_count: u32,
    slot_size: u64,
    spare_slots: u32,
    alignment: u32,
    consumer_limit: u32,
    min_consumers: u32,
    mode: u32,
    zone_size: u64,
    checksum: Checksum,
    algorithm: Algorithm,
    retention: Option<Duration>,
    lossless: Option<Option<bool>>,
    flags: u32,
    common: Common,
}

impl ProducerOptions {
    /// The defaults of a policy.
    pub fn new(policy: Policy) -> ProducerOptions {
        ProducerOptions {
            policy,
            slot_count: 0,
            slot_size: 0,
            spare_slots: 0,
            alignment: 0,
            consumer_limit: 0,
            min_consumers: 0,
            mode: 0,
            zone_size: 0,
            checksum: Checksum::None,
            algorithm: Algorithm::ByBlock,
            retention: None,
            lossless: None,
            flags: 0,
            common: Common::default(),
        }
    }

    setters! {
        /// How many messages a ring keeps, 1 to 1048576; by default 8.
        slot_count: u32,
        /// The largest message, in bytes. Needed, unless a schema is given.
        slot_size: u64,
        /// Slots in addition to the slots of the ring, at least 2.
        spare_slots: u32,
        /// The alignment of a payload in bytes: a power of two from 64 to 4096; by default 64.
        alignment: u32,
        /// How many consumers can be attached at once, 1 to 255; by default 16.
        consumer_limit: u32,
        /// While fewer consumers are attached, the producer waits and overwrites nothing.
        min_consumers: u32,
        /// Which users may attach, such as `0o660`; by default `0o600`.
        mode: u32,
        /// The size of the flexible zone in bytes; by default 4032.
        zone_size: u64,
        /// Whether messages have checksums.
        checksum: Checksum,
        /// How checksums are made.
        algorithm: Algorithm,
    }

    /// How long the row of a dead durable consumer is kept; by default for ever.
    #[must_use]
    pub fn retention(mut self, time: Duration) -> Self {
        self.retention = Some(time);
        self
    }

    /// Whether consumers may apply backpressure (LOSSLESS). `None`: as the block does that is
    /// there; a new ring allows it. By default a ring asks for a block that allows it.
    #[must_use]
    pub fn allow_lossless(mut self, allowed: impl Into<Option<bool>>) -> Self {
        self.lossless = Some(allowed.into());
        self
    }

    /// A block of another geometry is replaced, instead of refused.
    #[must_use]
    pub fn replace(self, on: bool) -> Self {
        self.flag(sys::DATABLOCK_FLAG_REPLACE, on)
    }

    /// With [`replace`](Self::replace): also while a producer has the block open. That producer is
    /// fenced.
    #[must_use]
    pub fn force(self, on: bool) -> Self {
        self.flag(sys::DATABLOCK_FLAG_FORCE, on)
    }

    /// Closing the producer removes the block. Attached consumers read what is left.
    #[must_use]
    pub fn unlink_on_close(self, on: bool) -> Self {
        self.flag(sys::DATABLOCK_FLAG_UNLINK_ON_CLOSE, on)
    }

    /// Each message gets the time of its commit.
    #[must_use]
    pub fn timestamps(self, on: bool) -> Self {
        self.flag(sys::DATABLOCK_FLAG_TIMESTAMP, on)
    }

    /// The producer uses the slot of a message again as soon as every LOSSLESS consumer has
    /// released it. Others then find the message overwritten. The newest message stays.
    #[must_use]
    pub fn reclaim(self, on: bool) -> Self {
        self.flag(sys::DATABLOCK_FLAG_RECLAIM, on)
    }

    fn flag(mut self, flag: u32, on: bool) -> Self {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        self
    }

    common_setters!();

    /// Creates the block of this name or absolute path, or takes over the block that is there.
    /// After a takeover ids continue, and attached consumers notice nothing.
    ///
    /// Errors: `Invalid`, `ProducerActive`, `Access`, `Secret`, `Corrupt`, `Version`, `Geometry`,
    /// `Schema`, `NoSpace`, `NotFound` (the directory, the registered schema), `System`.
    pub fn open(&self, name: impl AsRef<Path>) -> Result<Producer> {
        let name = text::path(name.as_ref())?;
        let held = self.common.hold()?;
        // SAFETY: numbers and pointers of a struct of C, for which zero is valid.
        let mut config: sys::datablock_config = unsafe { std::mem::zeroed() };
        let (size, policy) = (std::mem::size_of_val(&config), self.policy as sys::datablock_policy);
        check(unsafe { sys::datablock_config_init_sized(&mut config, size, policy) })?;
        self.fill(&mut config, &held);
        let mut handle = sys::datablock_producer { handle: 0 };
        // SAFETY: everything that the config points to lives in `held` and `self`.
        check(unsafe { sys::datablock_producer_open(name.as_ptr(), &config, &mut handle) })?;
        Ok(Producer::of(handle))
    }

    fn fill(&self, config: &mut sys::datablock_config, held: &Held) {
        const ALLOW: u32 = sys::DATABLOCK_FLAG_ALLOW_LOSSLESS;
        const FORBID: u32 = sys::DATABLOCK_FLAG_FORBID_LOSSLESS;
        if let Some(lossless) = self.lossless {
            config.flags &= !(ALLOW | FORBID);
            config.flags |= match lossless {
                Some(true) => ALLOW,
                Some(false) => FORBID,
                None => 0,
            };
        }
        config.flags |= self.flags;
        config.slot_count = self.slot_count;
        config.slot_size = self.slot_size;
        config.spare_slots = self.spare_slots;
        config.alignment = self.alignment;
        config.consumer_limit = self.consumer_limit;
        config.min_consumers = self.min_consumers;
        config.mode = self.mode;
        config.zone_size = self.zone_size;
        config.checksum = self.checksum as u32;
        config.algorithm = self.algorithm as u32;
        config.retention_ms = self
            .retention
            .map_or(0, |time| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        config.directory = text::pointer(&held.directory);
        config.secret = self.common.secret();
        config.secret_length = self.common.secret.len();
        config.schema = schema_pointer(&held.schema);
        config.zone_schema = schema_pointer(&held.zone_schema);
        config.registered = text::pointer(&held.registered);
        config.registry = text::pointer(&held.registry);
    }
}

/// The settings of a consumer.
///
/// ```no_run
/// # fn main() -> datablock::Result<()> {
/// use datablock::{ConsumerOptions, Delivery, Start};
///
/// let consumer = ConsumerOptions::new()
///     .delivery(Delivery::Lossless)
///     .start(Start::Oldest)
///     .durable("recorder")
///     .open("camera")?;
/// println!("continues: {}", consumer.resumed()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConsumerOptions {
    delivery: Delivery,
    start: Start,
    max_pins: u32,
    durable: bool,
    name: Option<String>,
    schema_mode: SchemaMode,
    wait: Option<Timeout>,
    common: Common,
}

impl ConsumerOptions {
    /// The defaults.
    pub fn new() -> ConsumerOptions {
        ConsumerOptions::default()
    }

    setters! {
        /// Which messages the consumer gets.
        delivery: Delivery,
        /// The first message.
        start: Start,
        /// How many messages can be held at once, 1 to 8; by default 1.
        max_pins: u32,
        /// How the expected schema and the block's are compared.
        schema_mode: SchemaMode,
    }

    /// The name that the diagnosis shows, at most 63 bytes; by default the name of the program.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Row and cursor outlive the process: a consumer of the same name continues there.
    #[must_use]
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.durable = true;
        self.name(name)
    }

    /// How long the open waits for a block that does not exist yet; by default not at all.
    #[must_use]
    pub fn wait(mut self, timeout: impl Into<Timeout>) -> Self {
        self.wait = Some(timeout.into());
        self
    }

    common_setters!();

    /// Attaches to the block of this name or absolute path. Waits for a block that does not exist
    /// yet if [`wait`](Self::wait) is set.
    ///
    /// Errors: `Invalid` (also: LOSSLESS on a block that forbids it), `Timeout` (no such block in
    /// time), `NotFound`, `Access`, `Secret`, `Corrupt`, `Version`, `Schema`, `Full`, `NoSpare`,
    /// `Busy` (a consumer of the durable name is attached), `Superseded`, `System`.
    pub fn open(&self, name: impl AsRef<Path>) -> Result<Consumer> {
        let name = text::path(name.as_ref())?;
        let own_name = text::optional(self.name.as_deref())?;
        let held = self.common.hold()?;
        let mut options = initial_options()?;
        fill_common(&mut options, &self.common, &held, self.schema_mode);
        options.delivery = self.delivery as u32;
        options.start = self.start as u32;
        options.max_pins = self.max_pins;
        options.durable = u32::from(self.durable);
        options.name = text::pointer(&own_name);
        options.zone_schema = schema_pointer(&held.zone_schema);
        options.wait_ms = self.wait.unwrap_or(Timeout::NONE).0;
        let mut handle = sys::datablock_consumer { handle: 0 };
        // SAFETY: everything that the options point to lives in `held`, `own_name` and `self`.
        check(unsafe { sys::datablock_consumer_open(name.as_ptr(), &options, &mut handle) })?;
        Ok(Consumer::of(handle))
    }
}

/// The settings of an observer. A schema of the zone is [`Error::Invalid`](crate::Error::Invalid).
#[derive(Clone, Debug, Default)]
pub struct ObserverOptions {
    schema_mode: SchemaMode,
    common: Common,
}

impl ObserverOptions {
    /// The defaults.
    pub fn new() -> ObserverOptions {
        ObserverOptions::default()
    }

    setters! {
        /// How the expected schema and the block's are compared.
        schema_mode: SchemaMode,
    }
    common_setters!();

    /// Opens the block of this name or absolute path for observation. Errors: `Invalid`,
    /// `NotFound`, `Access`, `Secret`, `Schema`, `Corrupt`, `Version`, `System`.
    pub fn open(&self, name: impl AsRef<Path>) -> Result<Observer> {
        let name = text::path(name.as_ref())?;
        let held = self.common.hold()?;
        let mut options = initial_options()?;
        fill_common(&mut options, &self.common, &held, self.schema_mode);
        options.zone_schema = schema_pointer(&held.zone_schema);
        let mut handle = sys::datablock_observer { handle: 0 };
        // SAFETY: everything that the options point to lives in `held` and `self`.
        check(unsafe { sys::datablock_observer_open(name.as_ptr(), &options, &mut handle) })?;
        Ok(Observer::of(handle))
    }
}

fn initial_options() -> Result<sys::datablock_consumer_options> {
    // SAFETY: numbers and pointers of a struct of C, for which zero is valid.
    let mut options: sys::datablock_consumer_options = unsafe { std::mem::zeroed() };
    let size = std::mem::size_of_val(&options);
    check(unsafe { sys::datablock_consumer_options_init_sized(&mut options, size) })?;
    Ok(options)
}

fn fill_common(
    options: &mut sys::datablock_consumer_options,
    common: &Common,
    held: &Held,
    mode: SchemaMode,
) {
    options.directory = text::pointer(&held.directory);
    options.secret = common.secret();
    options.secret_length = common.secret.len();
    options.schema = schema_pointer(&held.schema);
    options.schema_mode = mode as u32;
    options.registered = text::pointer(&held.registered);
    options.registry = text::pointer(&held.registry);
}
