//! The payload of a message in the cross-process tests: a pseudo-random function of its id, the
//! same in every language. `tests/README.md` describes it.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of splitmix64.
pub fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

pub fn length(id: u64, capacity: usize) -> usize {
    (mix(id ^ 0x6874_676e_656c) % (capacity as u64 + 1)) as usize
}

/// Whether a payload identifies its writer. In a shorter one too few bytes would be left to check.
fn salted(length: usize) -> bool {
    length >= 16
}

/// The words of a payload, without a salt.
fn words(id: u64) -> impl Iterator<Item = u64> {
    let mut state = mix(id);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(GOLDEN);
        mix(state)
    })
}

pub fn fill(data: &mut [u8], id: u64, salt: u64) {
    let salt = if salted(data.len()) { salt } else { 0 };
    for (part, word) in data.chunks_mut(8).zip(words(id)) {
        part.copy_from_slice(&(word ^ salt).to_le_bytes()[..part.len()]);
    }
}

/// The salt of the writer, and whether every byte is right for this writer and id.
pub fn verify(data: &[u8], id: u64) -> (u64, bool) {
    let mut salt = 0;
    if salted(data.len()) {
        salt = u64::from_le_bytes(data[..8].try_into().unwrap()) ^ words(id).next().unwrap();
    }
    let mut right = true;
    for (part, word) in data.chunks(8).zip(words(id)) {
        let expected = (word ^ salt).to_le_bytes();
        right &= match <[u8; 8]>::try_from(part) {
            Ok(whole) => whole == expected,
            Err(_) => part == &expected[..part.len()],
        };
    }
    (salt, right)
}

/// The first and the last id of a command.
#[derive(Default)]
pub struct Range {
    pub count: u64,
    pub first: u64,
    pub last: u64,
}

impl Range {
    pub fn add(&mut self, id: u64) {
        if self.count == 0 {
            self.first = id;
        }
        self.last = id;
        self.count += 1;
    }

    pub fn text(&self) -> String {
        match self.count {
            0 => "first=- last=-".into(),
            _ => format!("first={} last={}", self.first, self.last),
        }
    }
}
