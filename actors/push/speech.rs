//! How a target is spoken to, whatever its dialect; each is on a thread of its own, since speaking
//! waits for the other side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use rollcall_identity::delivery::{DeliveryMode, TargetPosition};
use rollcall_identity::{Address, Change, Cursor};
use rollcall_wire::secure_edge::DigestPages;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::trouble::Trouble;

/// A piece of news.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// What became true, at most one change for each address; none for a piece that only moves the
    /// target's place.
    pub(crate) changes: Arc<[Change]>,
    /// The place that the target is left at by the piece before; `None` at the beginning of a
    /// synchronisation.
    pub(crate) after: Option<Cursor>,
    /// The place after it.
    pub(crate) next: Cursor,
    /// What it belongs to.
    pub(crate) turn: Turn,
}

/// Pieces that follow each other without a question between them, by a name of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// What is new.
    News(Arc<str>),
    /// Everything.
    Synchronisation(Arc<str>),
}

/// What became of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arrived {
    /// Reports that are in force there now.
    pub(crate) accepted: u64,
    /// Reports that it knew.
    pub(crate) duplicates: u64,
    /// Reports that it will never take: what they are about, and why.
    pub(crate) refused: Vec<(Option<Address>, String)>,
}

/// A dialect, spoken to one target. Whatever is said may be said twice.
pub(crate) trait Speech: Send {
    /// How it begins.
    fn opening(&self) -> DeliveryMode;

    /// Where the target says that it is, and how many pieces it takes at once, each from a speech of
    /// its own.
    fn place(&mut self) -> Result<(TargetPosition, usize), Trouble>;

    /// Begins a synchronisation of this name. Returns how many pieces of it the target takes at once.
    fn begin(&mut self, synchronisation: &str) -> Result<usize, Trouble>;

    /// Tells a piece. It returns `Ok` only with the target's word for all of it.
    fn tell(&mut self, piece: &Piece) -> Result<Arrived, Trouble>;

    /// Ends a synchronisation.
    fn end(&mut self, synchronisation: &str, at: &Cursor) -> Result<(), Trouble>;

    /// What the target holds; `None` when the dialect or the target cannot tell.
    fn digests(&mut self) -> Result<Option<DigestPages>, Trouble>;

    /// How many reports a second it takes; `None` for as many as it acknowledges.
    fn rate(&self) -> Option<u32>;

    /// How many bytes of bodies were sent since this was last asked.
    fn take_sent(&mut self) -> u64;
}

type Job = Box<dyn FnOnce(&mut dyn Speech) + Send>;

/// A thread that speaks. It ends after what it is saying when this is dropped.
#[derive(Debug)]
pub(crate) struct Mouth(crossbeam_channel::Sender<Job>);

/// Held by the threads that speak to a target, so that one that was abandoned in the middle of a
/// request cannot say something old after its successor has said something new.
pub(crate) type Floor = Arc<Semaphore>;

/// A floor that nobody holds.
pub(crate) fn floor() -> Floor {
    Arc::new(Semaphore::new(1))
}

/// The threads that speak to one target, as many as are needed at once.
pub(crate) struct Mouths {
    name: String,
    floor: Arc<OwnedSemaphorePermit>,
    make: Box<dyn Fn() -> Box<dyn Speech> + Send>,
    idle: Vec<Mouth>,
}

impl Mouths {
    /// No thread yet; each will speak what `make` makes, and is called `name` in the process list.
    /// Waits until whoever spoke before has said it all.
    pub(crate) async fn new(
        name: &str,
        floor: &Floor,
        make: impl Fn() -> Box<dyn Speech> + Send + 'static,
    ) -> Result<Self, Trouble> {
        let floor = Arc::clone(floor).acquire_owned().await.map_err(|_| Trouble::Mute)?;
        let (name, floor, make) = (name.to_owned(), Arc::new(floor), Box::new(make));
        Ok(Self { name, floor, make, idle: Vec::new() })
    }

    /// One that is idle. It is to be given back.
    pub(crate) fn take(&mut self) -> Result<Mouth, Trouble> {
        match self.idle.pop() {
            Some(mouth) => Ok(mouth),
            None => Mouth::open(&self.name, Arc::clone(&self.floor), (self.make)()),
        }
    }

    /// Takes one back.
    pub(crate) fn give(&mut self, mouth: Mouth) {
        self.idle.push(mouth);
    }

    /// Does `act` on an idle one.
    pub(crate) async fn ask<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut dyn Speech) -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let mouth = self.take()?;
        let answer = mouth.ask(act).await?;
        self.give(mouth);
        Ok(answer)
    }
}

impl Mouth {
    fn open(
        name: &str,
        floor: Arc<OwnedSemaphorePermit>,
        mut speech: Box<dyn Speech>,
    ) -> Result<Self, Trouble> {
        let (sender, jobs) = crossbeam_channel::bounded::<Job>(1);
        let spoken = move || {
            let _floor = floor;
            for job in jobs {
                // Whoever waits for this job learns of a panic by its answer that never comes.
                if catch_unwind(AssertUnwindSafe(|| job(&mut *speech))).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new().name(format!("push {name}")).spawn(spoken);
        spawned.map_err(|why| Trouble::Unprepared(format!("no thread: {why}")))?;
        Ok(Self(sender))
    }

    /// Does `act` there, at once, whether or not somebody waits for the answer.
    pub(crate) fn ask<T, A>(&self, act: A) -> impl Future<Output = Result<T, Trouble>> + use<T, A>
    where
        T: Send + 'static,
        A: FnOnce(&mut dyn Speech) -> T + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |speech| drop(tell.send(act(speech))));
        // Only one asks, and waits for the answer: there is always room.
        let sent = self.0.try_send(job).map_err(|_| Trouble::Mute);
        async move {
            sent?;
            told.await.map_err(|_| Trouble::Mute)
        }
    }
}
