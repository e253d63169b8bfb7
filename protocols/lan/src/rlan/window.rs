//! Which control numbers of an origin have been seen: the 1024 highest, one bit each.

/// Numbers that are remembered below the highest.
const WINDOW: u64 = 1024;

const WORDS: usize = 16;

/// The numbers seen.
#[derive(Debug, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit `number % WINDOW` for each number of the window.
    bits: [u64; WORDS],
}

impl Window {
    /// Whether `number` has not been seen and is not too old to tell.
    pub(super) fn is_new(&self, number: u64) -> bool {
        if number > self.highest {
            return true;
        }
        let (word, bit) = place(number);
        let is_seen = self.bits.get(word).is_some_and(|bits| bits & bit != 0);
        self.highest - number < WINDOW && !is_seen
    }

    /// Remembers a number that is new.
    pub(super) fn mark(&mut self, number: u64) {
        if number > self.highest {
            let steps = (number - self.highest).min(WINDOW);
            // What leaves the window makes room for what enters it.
            for step in 0..steps {
                let (word, bit) = place(number - step);
                if let Some(bits) = self.bits.get_mut(word) {
                    *bits &= !bit;
                }
            }
            self.highest = number;
        }
        let (word, bit) = place(number);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let index = number % WINDOW;
    (usize::try_from(index / 64).unwrap_or(0), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(window: &mut Window, number: u64) -> bool {
        let is_new = window.is_new(number);
        if is_new {
            window.mark(number);
        }
        is_new
    }

    #[test]
    fn each_number_is_new_once_and_only_the_last_1024_can_be() {
        let mut window = Window::default();
        assert!(take(&mut window, 1) && !take(&mut window, 1));
        assert!(take(&mut window, 1025));
        assert!(!take(&mut window, 1), "1024 below");
        assert!(take(&mut window, 2) && !take(&mut window, 2));
        assert!(take(&mut window, 5000));
        assert!(!take(&mut window, 5000 - 1024) && take(&mut window, 5000 - 1023));
        assert!(take(&mut window, u64::MAX) && !take(&mut window, u64::MAX));
        assert!(take(&mut window, u64::MAX - 1023));
    }
}
