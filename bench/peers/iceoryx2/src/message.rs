//! The messages of peer.h: a number in the first word of each page and in the last word.

use crate::measure::die;

const STAMP_WORDS: usize = 512;
const COMPARED: u64 = 16;
const FILLER: u64 = 0x5a5a_5a5a_5a5a_5a5a;
pub const LAST: u64 = u64::MAX;

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u64; STAMP_WORDS]);

pub struct Message {
    words: usize,
    source: Vec<Page>,
    target: Vec<Page>,
    pub sent: u64,
    pub received: u64,
}

impl Message {
    pub fn of(size: usize) -> Message {
        let pages = vec![Page([FILLER; STAMP_WORDS]); size.div_ceil(4096)];
        Message { words: size / 8, source: pages.clone(), target: pages, sent: 0, received: 0 }
    }

    pub fn size(&self) -> usize {
        self.words * 8
    }

    pub fn source(&self) -> *const u8 {
        self.source.as_ptr().cast()
    }

    pub fn target(&mut self) -> *mut u8 {
        self.target.as_mut_ptr().cast()
    }

    fn set(&mut self, word: usize, number: u64) {
        self.source[word / STAMP_WORDS].0[word % STAMP_WORDS] = number;
    }

    fn get(&self, word: usize) -> u64 {
        self.target[word / STAMP_WORDS].0[word % STAMP_WORDS]
    }

    #[inline(always)]
    pub fn stamp(&mut self, number: u64) {
        for word in (0..self.words).step_by(STAMP_WORDS) {
            self.set(word, number);
        }
        self.set(self.words - 1, number);
    }

    /// Returns the number of the message that was received.
    #[inline(always)]
    pub fn whole(&self) -> u64 {
        let number = self.get(0);
        for word in (0..self.words).step_by(STAMP_WORDS) {
            if self.get(word) != number {
                die(&format!("message {number} is torn at byte {}", word * 8));
            }
        }
        if self.get(self.words - 1) != number {
            die(&format!("message {number} is torn at its end"));
        }
        number
    }

    /// Checks that nothing was lost or torn. Returns false when the exchange is over.
    #[inline(always)]
    pub fn check(&mut self) -> bool {
        let number = self.whole();
        if number == LAST {
            return false;
        }
        self.received += 1;
        if number != self.received {
            die(&format!("message {number} instead of {}", self.received));
        }
        if number <= COMPARED {
            self.check_filler(number);
        }
        true
    }

    fn check_filler(&self, number: u64) {
        for word in (0..self.words - 1).filter(|word| word % STAMP_WORDS != 0) {
            if self.get(word) != FILLER {
                die(&format!("message {number} is spoilt at byte {}", word * 8));
            }
        }
    }
}
