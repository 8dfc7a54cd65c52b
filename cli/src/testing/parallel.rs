//! Many tests at once, on all cores; told in their order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What has come back so far.
struct Progress<R, D> {
    results: Vec<Option<R>>,
    /// The first result that was not told yet.
    next: usize,
    done: D,
}

/// Does `work` for each item. `done` is told of the results one by one, in the order of the items, as soon as that can be.
pub fn run<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync, done: impl FnMut(&T, &R) + Send) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let progress = Mutex::new(Progress { results: items.iter().map(|_| None).collect(), next: 0, done });
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    let Ok(mut progress) = progress.lock() else { return };
                    let Progress { results, next, done } = &mut *progress;
                    if let Some(slot) = results.get_mut(index) {
                        *slot = Some(result);
                    }
                    while let (Some(item), Some(Some(result))) = (items.get(*next), results.get(*next)) {
                        done(item, result);
                        *next += 1;
                    }
                }
            });
        }
    });
    progress.into_inner().map(|progress| progress.results).unwrap_or_default().into_iter().flatten().collect()
}

/// Runs what may panic; a panic is an error like any other.
pub fn caught<E: From<String>>(work: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(E::from(format!("panic: {}", text.unwrap_or("unknown"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_order() {
        let items: Vec<usize> = (0..100).collect();
        let mut told = Vec::new();
        let doubled = run(&items, |n| n * 2, |item, result| told.push((*item, *result)));
        assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(told, items.iter().map(|n| (*n, n * 2)).collect::<Vec<_>>());
    }
}
