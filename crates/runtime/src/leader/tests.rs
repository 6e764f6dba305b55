//! Several candidates on virtual time, against an API that may fail, lose answers, and be out of reach.
#![allow(clippy::unwrap_used)]

use super::*;

const TIMING: Timing = Timing {
    lease: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

fn stamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// The one Lease of the world.
#[derive(Default)]
struct World {
    lease: Option<Lease>,
    version: u64,
}

impl World {
    fn ask(&mut self, request: &Request) -> Answer {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        match request {
            Request::Get => self.lease.clone().map_or(Answer::Missing, |lease| Answer::Lease(Box::new(lease))),
            Request::Create(lease) if self.lease.is_none() => self.write(lease.clone()),
            Request::Update(lease) if self.lease.as_ref().map(version) == Some(version(lease)) => {
                self.write(lease.clone())
            }
            Request::Create(_) | Request::Update(_) => Answer::Failed,
        }
    }

    fn write(&mut self, mut lease: Lease) -> Answer {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        Answer::Lease(Box::new(lease))
    }

    fn transitions(&self) -> i32 {
        self.lease.as_ref().unwrap().spec.as_ref().unwrap().lease_transitions.unwrap()
    }
}

/// One attempt at one moment.
fn attempt(election: &mut Election, world: &mut World, now: Instant, wall: i64) -> Step {
    let mut request = election.begin(now, stamp(wall));
    loop {
        let answer = world.ask(&request);
        match election.answer(now, &request, answer) {
            Step::Ask(next) => request = *next,
            step => return step,
        }
    }
}

fn candidate(identity: &str) -> Election {
    Election::new("kube-system", "parts", identity, TIMING)
}

#[test]
fn the_first_one_leads_and_the_second_waits_for_the_end_of_the_lease() {
    let (mut a, mut b, mut world) = (candidate("a"), candidate("b"), World::default());
    let begin = Instant::now();
    let at = |seconds: u64| begin + Duration::from_secs(seconds);
    assert_eq!(attempt(&mut a, &mut world, at(0), 0), Step::Lead);
    assert_eq!(attempt(&mut b, &mut world, at(1), 0), Step::Follow);
    assert_eq!(a.deadline(), Some(at(10)));
    assert_eq!(attempt(&mut a, &mut world, at(8), 8000), Step::Lead);
    assert_eq!(a.deadline(), Some(at(18)));
    // Its time runs from when it saw the renewal, not from what it says.
    assert_eq!(attempt(&mut b, &mut world, at(17), 0), Step::Follow);
    assert_eq!(attempt(&mut b, &mut world, at(31), 0), Step::Follow);
    assert_eq!(b.next_attempt(at(31), 0.0), at(32), "there when the lease ends");
    assert_eq!(attempt(&mut b, &mut world, at(32), 0), Step::Lead);
    assert_eq!(world.transitions(), 1);
    assert_eq!(attempt(&mut a, &mut world, at(33), 0), Step::Follow);
    assert_eq!(a.deadline(), None);
    assert_eq!(a.holder(), Some("b"));
}

#[test]
fn clocks_that_are_hours_apart_do_not_matter() {
    let (mut a, mut b, mut world) = (candidate("a"), candidate("b"), World::default());
    let begin = Instant::now();
    assert_eq!(attempt(&mut a, &mut world, begin, -36_000_000), Step::Lead);
    assert_eq!(attempt(&mut b, &mut world, begin + Duration::from_secs(1), 36_000_000), Step::Follow);
}

#[test]
fn a_released_lease_is_free_at_once() {
    let (mut a, mut b, mut world) = (candidate("a"), candidate("b"), World::default());
    let begin = Instant::now();
    attempt(&mut a, &mut world, begin, 0);
    attempt(&mut b, &mut world, begin, 0);
    let lease = world.lease.clone().unwrap();
    assert_eq!(b.release(&lease, stamp(1)), None, "not its own");
    let freed = a.release(&lease, stamp(1)).unwrap();
    let spec = freed.spec.clone().unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
    world.ask(&Request::Update(freed));
    assert_eq!(attempt(&mut b, &mut world, begin + Duration::from_millis(100), 100), Step::Lead);
    let spec = world.lease.unwrap().spec.unwrap();
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(1)));
}

#[test]
fn a_renewal_keeps_when_it_was_acquired_and_what_others_wrote() {
    let (mut a, mut world) = (candidate("a"), World::default());
    let begin = Instant::now();
    attempt(&mut a, &mut world, begin, 1000);
    let mut lease = world.lease.clone().unwrap();
    lease.metadata.labels = Some([("team".to_owned(), "net".to_owned())].into());
    world.write(lease);
    assert_eq!(attempt(&mut a, &mut world, begin + Duration::from_secs(2), 3000), Step::Lead, "after a conflict");
    let lease = world.lease.clone().unwrap();
    let spec = lease.spec.unwrap();
    assert_eq!(spec.acquire_time.unwrap().0, stamp(1000));
    assert_eq!(spec.renew_time.unwrap().0, stamp(3000));
    assert_eq!(spec.lease_transitions, Some(0));
    assert!(lease.metadata.labels.unwrap().contains_key("team"));
}

#[test]
fn a_lease_that_was_deleted_is_made_again_by_its_leader() {
    let (mut a, mut world) = (candidate("a"), World::default());
    let begin = Instant::now();
    attempt(&mut a, &mut world, begin, 0);
    world.lease = None;
    assert_eq!(attempt(&mut a, &mut world, begin + Duration::from_secs(2), 0), Step::Lead);
}

#[test]
fn durations_that_could_make_two_leaders_are_refused() {
    let seconds = Duration::from_secs;
    let check = |lease, renew_deadline, retry_period| Timing { lease, renew_deadline, retry_period }.check();
    assert!(Timing::default().check().is_ok());
    assert!(check(seconds(10), seconds(10), seconds(2)).is_err());
    assert!(check(seconds(15), seconds(2), seconds(2)).is_err());
    assert!(check(Duration::from_millis(900), Duration::from_millis(500), Duration::from_millis(100)).is_err());
    assert!(check(seconds(15), seconds(10), Duration::ZERO).is_err());
}

/// One candidate with a clock of its own.
struct Process {
    election: Election,
    /// Local time = offset + rate * true time.
    offset: Duration,
    rate: f64,
    next: u64,
    leads: bool,
    reachable: bool,
}

impl Process {
    fn local(&self, origin: Instant, now: u64) -> Instant {
        origin + self.offset + Duration::from_millis(now).mul_f64(self.rate)
    }

    /// An attempt in which every request may fail, and an answer may be lost although the write was done.
    fn act(&mut self, world: &mut World, origin: Instant, now: u64, random: &mut fastrand::Rng, trouble: f64) {
        let local = self.local(origin, now);
        let mut request = self.election.begin(local, stamp(random.i64(0..1 << 40)));
        let step = loop {
            let answer = match () {
                () if !self.reachable || random.f64() < trouble / 2.0 => Answer::Failed,
                () => world.ask(&request),
            };
            let answer = if random.f64() < trouble / 2.0 { Answer::Failed } else { answer };
            match self.election.answer(local, &request, answer) {
                Step::Ask(next) => request = *next,
                step => break step,
            }
        };
        match step {
            Step::Lead => self.leads = true,
            Step::Follow => self.leads = false,
            Step::Ask(_) | Step::Unknown => {}
        }
        let wait = self.election.next_attempt(local, random.f64()) - local;
        self.next = now + u64::try_from(wait.mul_f64(1.0 / self.rate).as_millis()).unwrap().max(1);
    }

    fn tick(&mut self, origin: Instant, now: u64) {
        if self.leads && self.election.deadline().is_none_or(|deadline| deadline <= self.local(origin, now)) {
            // As the process would: it ends, and starts again as somebody new.
            self.leads = false;
            let identity = format!("{}+", self.election.identity());
            self.election = candidate(&identity);
        }
    }
}

/// Whatever fails, for however long, and however the clocks are set: never two leaders; and one again after it is over.
#[test]
fn there_are_never_two_leaders_and_always_one_after_trouble() {
    for seed in 0..300 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let origin = Instant::now();
        let mut world = World::default();
        let mut processes: Vec<Process> = (0..random.usize(2..5))
            .map(|number| Process {
                election: candidate(&number.to_string()),
                offset: Duration::from_secs(random.u64(0..1_000_000)),
                rate: 0.95 + random.f64() / 10.0,
                next: random.u64(0..3000),
                leads: false,
                reachable: true,
            })
            .collect();
        let mut trouble = 0.0;
        for now in (0..600_000).step_by(50) {
            if now % 20_000 == 0 {
                let over = now >= 540_000;
                trouble = if over { 0.0 } else { random.f64() * 0.9 };
                processes.iter_mut().for_each(|process| process.reachable = over || random.f64() < 0.7);
            }
            for process in &mut processes {
                process.tick(origin, now);
                if process.next <= now {
                    process.act(&mut world, origin, now, random, trouble);
                }
            }
            let leaders = processes.iter().filter(|process| process.leads).count();
            assert!(leaders <= 1, "seed {seed}: {leaders} leaders after {now} ms");
        }
        assert_eq!(processes.iter().filter(|process| process.leads).count(), 1, "seed {seed}: nobody leads");
    }
}
