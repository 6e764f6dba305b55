//! A set of small integers with a fast search for the next free one.

/// Which of `0..len` are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    len: usize,
    taken: usize,
}

impl Bitmap {
    pub(crate) fn new(len: usize) -> Bitmap {
        Bitmap { words: vec![0; len.div_ceil(64)], len, taken: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn free(&self) -> usize {
        self.len - self.taken
    }

    pub(crate) fn contains(&self, index: usize) -> bool {
        index < self.len && self.words[index / 64] & (1 << (index % 64)) != 0
    }

    /// Takes `index`; false if it was taken already or lies outside.
    pub(crate) fn take(&mut self, index: usize) -> bool {
        if index >= self.len || self.contains(index) {
            return false;
        }
        self.words[index / 64] |= 1 << (index % 64);
        self.taken += 1;
        true
    }

    /// Frees `index`; false if it was free.
    pub(crate) fn release(&mut self, index: usize) -> bool {
        if !self.contains(index) {
            return false;
        }
        self.words[index / 64] &= !(1 << (index % 64));
        self.taken -= 1;
        true
    }

    /// The first free index in `from..to`.
    pub(crate) fn next_free(&self, from: usize, to: usize) -> Option<usize> {
        let to = to.min(self.len);
        let mut index = from;
        while index < to {
            let word = !self.words[index / 64] >> (index % 64);
            if word != 0 {
                let found = index + word.trailing_zeros() as usize;
                return (found < to).then_some(found);
            }
            index = (index / 64 + 1) * 64;
        }
        None
    }

    /// The first free index in `from..to`, looking from `from + seed % (to - from)` on and around.
    pub(crate) fn next_free_around(&self, from: usize, to: usize, seed: u64) -> Option<usize> {
        if from >= to {
            return None;
        }
        let width = (to - from) as u64;
        let start = from + usize::try_from(seed % width).unwrap_or(0);
        self.next_free(start, to).or_else(|| self.next_free(from, start))
    }

    /// Takes a free index from the dynamic part `band..`, or else from the static part `..band`.
    pub(crate) fn take_dynamic(&mut self, band: usize, seed: u64) -> Option<usize> {
        let band = band.min(self.len);
        let index = self.next_free_around(band, self.len, seed).or_else(|| self.next_free_around(0, band, seed))?;
        self.take(index);
        Some(index)
    }
}
