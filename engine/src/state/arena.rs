//! Bytes of many keys and values in few allocations: an overlay fills one and drops it in one piece.

/// The first chunk is small, since most stores are; each further one is twice as large up to the limit.
const FIRST_CHUNK_BYTES: usize = 512;
const MAX_CHUNK_BYTES: usize = 256 << 10;

/// Where bytes begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    chunk: u32,
    start: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Box<[u8]>>,
    /// Bytes used of the last chunk.
    used: usize,
    bytes: usize,
}

impl Arena {
    /// Copies bytes in and keeps room for `capacity` of them.
    pub fn push(&mut self, bytes: &[u8], capacity: usize) -> Place {
        let capacity = capacity.max(bytes.len());
        let room = self.chunks.last().map_or(0, |chunk| chunk.len() - self.used);
        if room < capacity {
            let next = self.chunks.last().map_or(FIRST_CHUNK_BYTES, |chunk| (chunk.len() * 2).min(MAX_CHUNK_BYTES));
            let size = next.max(capacity);
            self.chunks.push(vec![0; size].into_boxed_slice());
            self.bytes += size;
            self.used = 0;
        }
        let place = Place { chunk: narrow(self.chunks.len() - 1), start: narrow(self.used) };
        self.used += capacity;
        self.set(place, bytes);
        place
    }

    /// Overwrites the bytes at a place that has the room for them.
    pub fn set(&mut self, place: Place, bytes: &[u8]) {
        let start = place.start as usize;
        self.chunks[place.chunk as usize][start..start + bytes.len()].copy_from_slice(bytes);
    }

    pub fn get(&self, place: Place, len: u32) -> &[u8] {
        let start = place.start as usize;
        &self.chunks[place.chunk as usize][start..start + len as usize]
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A length or position that fits 32 bits. Records and values are limited to far less.
pub(super) fn narrow(length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(length) => length,
        Err(_) => panic!("4 GiB in one value"),
    }
}
