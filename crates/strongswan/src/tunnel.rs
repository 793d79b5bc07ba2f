//! One tunnel at run time: its plan, what the daemon has of it, and what is to be done about the difference.
//!
//! [`Tunnel::decide`] looks at what is, never at what has changed: doing what it says and asking again is harmless.

mod backoff;
mod cut;
pub(crate) mod duplicates;
mod pairwise;
mod silence;

use crate::blueprint::{Blueprint, Child, is_akin, pairs};
use crate::clock::SECOND;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use crate::presence::Cut;
use backoff::Backoff;
use karez_engine::{ChildSa, DpdAction, IkeSa, Initiator, Reason, Record, Standing, TunnelPlan};
use pairwise::Asked;
pub(crate) use silence::ENOUGH;
use silence::Silence;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How long SAs of an older plan may carry traffic while those of the new one are negotiated, microseconds.
const OVERLAP: i64 = 10 * SECOND;

/// How much later the end with the higher address begins, microseconds.
const HESITATION: i64 = SECOND / 12;

/// How long an attempt of ours waits when the peer has begun one at the same time, microseconds.
const PEER_FIRST: i64 = SECOND;

/// How long child SAs may be on the way from an IKE SA to the one that renews it, microseconds.
const MOVE: i64 = SECOND / 2;

/// What should be done with the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// End the IKE SA of this number, with all that it carries.
    EndIke(u32),
    /// Drop the IKE SA of this number at once: its peer does not answer, so there is nobody to tell.
    DropIke(u32),
    /// End the child SA of this number.
    EndChild(u32),
    /// Negotiate this child of the connection, and the IKE SA that it needs.
    Begin {
        /// The child's name.
        child: String,
    },
}

/// One tunnel.
pub(crate) struct Tunnel {
    pub(crate) plan: TunnelPlan,
    pub(crate) standing: Standing,
    pub(crate) record: Record,
    /// Where the peer is, once that is known.
    pub(crate) peer: Option<IpAddr>,
    /// As the daemon is told it, once it is known where the peer is.
    pub(crate) blueprint: Option<Blueprint>,
    /// Its child SAs in force, as the daemon shows them.
    pub(crate) installed: Vec<ChildSa>,
    /// What keeps packets from them.
    cut: Cut,
    /// When such are negotiated anew, at the earliest.
    mending: Backoff,
    /// The names of its connections in the daemon that may have SAs: the current one, and older ones.
    pub(crate) known: BTreeSet<String>,
    /// Whether pairs of subnets are negotiated one by one, because the peer does not take them all at once.
    pub(crate) by_pairs: bool,
    pub(crate) backoff: Backoff,
    /// What the peer was asked for in the IKE SA that is up.
    asked: Asked,
    /// Until when SAs of an older plan stay.
    overlap_until: i64,
    /// The daemon's numbers of attempts of ours that the peer has overtaken, and when they are looked at.
    overtaken: Option<(BTreeSet<u32>, i64)>,
    /// When SAs are ended that the peer has replaced and not ended.
    outdated_at: Option<i64>,
    /// Until when child SAs may be on the way from one IKE SA to another.
    between_until: Option<i64>,
    /// The daemon's numbers of IKE SAs that we have ended because the peer seems to have lost them, and when it should
    /// have confirmed that.
    leaving: BTreeMap<u32, i64>,
    /// Whether the peer was lost and is, by the plan, to begin again itself.
    pub(crate) is_left_to_peer: bool,
    /// The daemon's number of the IKE SA that the peer was lost with, which the daemon may show for a moment yet.
    lost: Option<u32>,
    /// The daemon's numbers of IKE SAs whose peer does not answer, and when it counts as dead for each.
    pub(crate) dead_at: BTreeMap<u32, i64>,
    /// Where the peer does not answer although nothing is up.
    pub(crate) silence: Silence,
    /// When the daemon last said that it had to send something again.
    pub(crate) sent_again_at: i64,
    /// The peer has deleted something; what it was shows until this time.
    pub(crate) parting: Option<(Reason, i64)>,
    /// When the peer's host name is to be resolved again.
    pub(crate) resolve_at: Option<i64>,
}

impl Tunnel {
    pub(crate) fn new(plan: TunnelPlan, standing: Standing, grace: i64, now: i64) -> Self {
        let record = Record::new(plan.id, standing.clone(), wanted(&plan, &standing), grace, now);
        Self {
            plan,
            standing,
            record,
            peer: None,
            blueprint: None,
            installed: Vec::new(),
            cut: Cut::default(),
            mending: Backoff::default(),
            known: BTreeSet::new(),
            by_pairs: false,
            backoff: Backoff::default(),
            asked: Asked::default(),
            overlap_until: 0,
            overtaken: None,
            outdated_at: None,
            between_until: None,
            leaving: BTreeMap::new(),
            is_left_to_peer: false,
            lost: None,
            dead_at: BTreeMap::new(),
            silence: Silence::default(),
            sent_again_at: 0,
            parting: None,
            resolve_at: None,
        }
    }

    /// Another plan for the same tunnel.
    pub(crate) fn change(&mut self, plan: TunnelPlan, standing: Standing, grace: i64, now: i64) {
        self.record.configure(standing.clone(), wanted(&plan, &standing), "the plan has changed", grace, now);
        if plan.peer != self.plan.peer {
            self.peer = None;
            self.resolve_at = None;
        }
        if self.standing == Standing::Waits && standing == Standing::Begins {
            // What did while it waited is replaced first and ended then.
            self.overlap_until = now + OVERLAP;
        }
        if plan.local_subnets != self.plan.local_subnets
            || plan.peer_subnets != self.plan.peer_subnets
            || plan.is_up != self.plan.is_up
        {
            self.forget_cut();
        }
        self.plan = plan;
        self.standing = standing;
        self.parting = None;
        self.by_pairs = false;
        self.is_left_to_peer = false;
        self.blueprint = None;
    }

    /// The children that the daemon is to have of it; none while it is not to have any.
    pub(crate) fn loaded(&self) -> Option<impl Iterator<Item = &Child>> {
        let blueprint = self.blueprint.as_ref().filter(|_| self.is_wanted())?;
        Some(blueprint.loaded(self.by_pairs))
    }

    /// Whether a connection of the daemon is the one that it uses.
    pub(crate) fn uses(&self, connection: &str) -> bool {
        self.is_wanted()
            && self.blueprint.as_ref().is_some_and(|blueprint| self.makes_do(blueprint, connection))
    }

    /// Whether SAs of this connection are as wanted. While it is for the peer to begin, other times of an IKE SA are not
    /// worth that it ends: the next one has the new ones.
    fn makes_do(&self, blueprint: &Blueprint, connection: &str) -> bool {
        blueprint.connection == connection
            || self.standing == Standing::Waits && is_akin(&blueprint.connection, connection)
    }

    /// The daemon has taken over another configuration of this tunnel: what is installed may be of the old one.
    pub(crate) fn reloaded(&mut self, now: i64) {
        self.overlap_until = now + OVERLAP;
        self.backoff.reset(now + self.hesitation());
    }

    /// Where both ends begin at the same moment, two IKE SAs come of it, which does no harm but takes seconds to clear up.
    /// So the one with the higher address waits a moment, within which the peer's first message mostly comes.
    fn hesitation(&self) -> i64 {
        if self.peer.is_some_and(|peer| self.plan.local > peer) { HESITATION } else { 0 }
    }

    /// Whether it should be up.
    pub(crate) const fn is_wanted(&self) -> bool {
        matches!(self.standing, Standing::Begins | Standing::Waits)
    }

    /// What to do, given the SAs that the daemon has of this tunnel, now.
    pub(crate) fn decide(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let mut first = self.left(sas, now);
        first.extend(self.mend(sas, now));
        first.extend(self.vain(sas, now));
        first.extend(self.give_up(sas, now));
        let Some(blueprint) = self.blueprint.as_ref().filter(|_| self.is_wanted()) else {
            self.overtaken = None;
            self.outdated_at = None;
            return sas.iter().filter(|sa| sa.can_be_ended()).flat_map(|sa| ending(sa)).collect();
        };
        let current = |sa: &&&ObservedIke| sa.connection == blueprint.connection;
        let needs = self.needs(blueprint, sas);
        let mut steps = first;
        steps.extend(self.homeless(sas));
        if needs.is_empty() || now >= self.overlap_until || self.standing == Standing::Waits {
            steps.extend(self.stale(blueprint, sas));
        }
        if needs.is_empty() {
            steps.extend(self.outdated(sas, now));
            steps.extend(duplicates::surplus(sas, now));
            steps.extend(duplicates::renewed(sas));
            self.backoff.settle();
            self.silence = Silence::default();
            self.is_left_to_peer &= sas.iter().all(|sa| self.lost == Some(sa.number));
            return steps;
        }
        self.outdated_at = None;
        if self.standing == Standing::Waits {
            // It was for us to begin before: what nobody has answered is not gone on with.
            let is_ours =
                |sa: &&&ObservedIke| sa.phase == Phase::Connecting && sa.is_initiator && !sa.is_shared;
            let open = sas.iter().filter(is_ours).filter(|sa| sa.can_be_ended());
            steps.extend(open.map(|sa| Step::EndIke(sa.number)));
        }
        self.backoff.ensure(now + SECOND / 4);
        if self.standing != Standing::Begins || self.is_left_to_peer {
            return steps;
        }
        let established = sas.iter().filter(current).find(|sa| sa.phase == Phase::Established);
        if let Some(sa) = established {
            let is_due = self.backoff.is_due(now);
            let begun = self.asked.next(sa, &needs, is_due);
            match is_due {
                true if begun.is_empty() => self.backoff.again_at(now + SECOND / 4),
                true => self.backoff.next(now),
                false => {}
            }
            steps.extend(begun.into_iter().map(|child| Step::Begin { child }));
        } else if !self.backoff.is_due(now) {
            return steps;
        } else if sas.iter().filter(current).any(|sa| sa.phase == Phase::Connecting) {
            self.backoff.again_at(now + PEER_FIRST);
        } else if let Some(child) = needs.first() {
            steps.push(Step::Begin { child: child.name.clone() });
            self.backoff.next(now);
        }
        steps
    }

    /// What the peer has replaced is ended, unless it does so itself within a moment.
    fn outdated(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let steps = duplicates::outdated(sas);
        let due = match self.outdated_at {
            _ if steps.is_empty() => None,
            at => Some(at.unwrap_or(now + duplicates::COURTESY)),
        };
        self.outdated_at = due.filter(|at| now < *at);
        if due.is_none() || self.outdated_at.is_some() {
            return Vec::new();
        }
        // While the peer has not confirmed that, it is not asked again at once.
        self.outdated_at = Some(now + duplicates::UNCONFIRMED);
        let ended = steps.iter().filter_map(|step| match step {
            Step::EndIke(number) => Some(*number),
            Step::DropIke(_) | Step::EndChild(_) | Step::Begin { .. } => None,
        });
        self.leaving.extend(ended.map(|number| (number, now + duplicates::COURTESY)));
        steps
    }

    /// A peer that has lost an IKE SA does not confirm its end, nor that of a child SA in it that is waited for first.
    fn left(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let is_there = |number: u32| sas.iter().any(|sa| sa.number == number);
        let due: Vec<u32> =
            self.leaving.iter().filter(|(_, at)| now >= **at).map(|(number, _)| *number).collect();
        self.leaving.retain(|_, at| now < *at);
        due.into_iter().filter(|number| is_there(*number)).map(Step::DropIke).collect()
    }

    /// The peer came first: attempts of ours that it does not answer would only make a second IKE SA, for which the peer may
    /// give up the first. What the daemon shows of several IKE SAs is not of one moment, so that a moment has to pass
    /// before one counts as not answered.
    fn vain(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let newest = |connection: &str| {
            let up = sas.iter().filter(|sa| sa.phase == Phase::Established && sa.connection == connection);
            up.map(|sa| sa.number).max()
        };
        // A renewal of ours is begun later than what it is to renew.
        let is_open = |sa: &&&ObservedIke| {
            let is_ours = sa.phase == Phase::Connecting && sa.is_initiator;
            is_ours && newest(&sa.connection).is_some_and(|newest| sa.number < newest)
        };
        let open: Vec<&&ObservedIke> = sas.iter().filter(is_open).collect();
        if open.is_empty() {
            self.overtaken = None;
            return Vec::new();
        }
        let numbers = || open.iter().map(|sa| sa.number).collect();
        let (known, at) = self.overtaken.get_or_insert_with(|| (numbers(), now + SECOND));
        if now < *at {
            return Vec::new();
        }
        let is_vain = |sa: &&&&ObservedIke| known.contains(&sa.number) && sa.can_be_ended();
        let steps = open.iter().filter(is_vain).map(|sa| Step::EndIke(sa.number)).collect();
        self.overtaken = None;
        steps
    }

    /// The children that are wanted and not installed.
    fn needs<'a>(&self, blueprint: &'a Blueprint, sas: &[&ObservedIke]) -> Vec<&'a Child> {
        let installed = || {
            let own = sas.iter().filter(|sa| self.makes_do(blueprint, &sa.connection));
            own.flat_map(|sa| sa.installed())
        };
        if let Some(whole) = blueprint.whole().filter(|_| !self.by_pairs) {
            let is_there = installed().any(|child| child.name == whole.name);
            return if is_there { Vec::new() } else { vec![whole] };
        }
        let covered = |pair: &&Child| {
            installed().any(|child| {
                let known = blueprint.loaded(true).any(|own| own.name == child.name);
                // One of its own name is there, if narrower than wanted: asking again would get the same again.
                child.name == pair.name
                    || known && child.shown.as_ref().is_some_and(|shown| covers(shown, pair))
            })
        };
        blueprint.pairs().iter().filter(|pair| !covered(pair)).collect()
    }

    /// The router has moved to another address: what was negotiated from the old one works no more, and its peer cannot
    /// be told.
    fn homeless(&self, sas: &[&ObservedIke]) -> Vec<Step> {
        let is_homeless = |sa: &&&ObservedIke| {
            let from = sa.shown.as_ref().map(|shown| shown.local.ip());
            sa.phase != Phase::Ending
                && from.is_some_and(|from| {
                    from != self.plan.local && from.is_ipv4() == self.plan.local.is_ipv4()
                })
        };
        sas.iter().filter(is_homeless).map(|sa| Step::DropIke(sa.number)).collect()
    }

    /// What is installed and belongs to an older plan.
    fn stale(&self, blueprint: &Blueprint, sas: &[&ObservedIke]) -> Vec<Step> {
        let mut steps = Vec::new();
        let is_installed = |child: &ObservedChild| child.phase == ChildPhase::Installed;
        let is_new =
            |sa: &&ObservedIke| sa.connection == blueprint.connection && sa.phase == Phase::Established;
        let is_replaced = sas.iter().copied().filter(is_new).any(|sa| sa.children.iter().any(is_installed));
        for sa in sas.iter().filter(|sa| sa.can_be_ended()) {
            let is_kept = !is_replaced && self.makes_do(blueprint, &sa.connection);
            if sa.connection != blueprint.connection && !is_kept {
                steps.extend(ending(sa));
                continue;
            }
            let is_known = |name: &str| blueprint.loaded(true).any(|child| child.name == name);
            let old = sa
                .children
                .iter()
                .filter(|child| child.phase == ChildPhase::Installed && !is_known(&child.name));
            steps.extend(old.map(|child| Step::EndChild(child.number)));
        }
        steps
    }

    /// Feeds the record with what is installed, and notices when the peer takes only a part of it.
    pub(crate) fn observe(&mut self, sas: &[&ObservedIke], now: i64) {
        let (ike, mut children) = shown(sas);
        self.installed.clone_from(&children);
        children = children.into_iter().filter_map(|child| self.cut.rest(child)).collect();
        if self.is_between(sas, &children, now) {
            return;
        }
        self.parting = self.parting.take().filter(|(_, until)| now < *until);
        if children.is_empty()
            && let Some((reason, _)) = self.parting.take()
        {
            self.record.failed(reason, now);
        }
        // In IKEv1 the child SAs hang on the new IKE SA while that is negotiated; until then the old one is shown.
        let renewing = || self.record.status().ike.clone().filter(|_| !children.is_empty());
        let ike = ike.or_else(renewing);
        self.record.observe(ike, children, now);
        let status = self.record.status();
        let is_partial = !status.missing.is_empty() && !status.children.is_empty() && self.cut.is_empty();
        if is_partial && now >= self.overlap_until {
            self.fall_back(now);
        }
    }

    /// Whether the daemon is just moving child SAs from an IKE SA to the one that renews it: what it shows of several IKE
    /// SAs is not of one moment, so that they may be seen in neither.
    fn is_between(&mut self, sas: &[&ObservedIke], children: &[ChildSa], now: i64) -> bool {
        let had_some = !self.record.status().children.is_empty();
        let until = (children.is_empty() && had_some && sas.iter().any(|sa| sa.is_renewed))
            .then(|| self.between_until.unwrap_or(now + MOVE));
        self.between_until = until.filter(|until| now < *until);
        self.between_until.is_some()
    }

    /// The peer does not take all subnets at once: from now on, one pair after the other.
    pub(crate) fn fall_back(&mut self, now: i64) {
        let can = self.blueprint.as_ref().is_some_and(Blueprint::comes_apart);
        if can && !self.by_pairs {
            self.by_pairs = true;
            self.backoff.reset(now);
        }
    }

    /// The peer is dead, as was seen with this IKE SA. Whether we begin again is for the plan to say.
    pub(crate) fn lost_peer(&mut self, number: Option<u32>, now: i64) {
        self.lost = number;
        self.is_left_to_peer = self.plan.dpd.action == DpdAction::Clear;
        self.backoff.reset(now);
    }

    /// When there is something to do although nothing happens; of what is done with the daemon only if it is there.
    pub(crate) fn deadline(&self, has_daemon: bool) -> Option<i64> {
        let resolve = self.resolve_at.filter(|_| self.is_wanted());
        let daemon = has_daemon.then(|| self.daemon_deadline()).flatten();
        [resolve, self.record.deadline(), daemon].into_iter().flatten().min()
    }

    fn daemon_deadline(&self) -> Option<i64> {
        let attempt = match self.standing {
            Standing::Begins if !self.is_left_to_peer => self.backoff.due_at(),
            _ => None,
        };
        let overlap = (self.overlap_until != 0).then_some(self.overlap_until);
        let overtaken = self.overtaken.as_ref().map(|(_, at)| *at);
        let dead = self.dead_at.values().copied().min();
        let leaving = self.leaving.values().copied().min();
        let silent = self.silence.deadline();
        [attempt, overlap, overtaken, self.outdated_at, self.between_until, leaving, dead, silent]
            .into_iter()
            .flatten()
            .min()
    }

    /// The overlap is over and was seen to.
    pub(crate) fn pass_overlap(&mut self, now: i64) {
        if now >= self.overlap_until {
            self.overlap_until = 0;
        }
    }
}

/// Ends an IKE SA, or, where other tunnels need it, what it carries of this one.
fn ending(sa: &ObservedIke) -> Vec<Step> {
    if !sa.is_shared {
        return vec![Step::EndIke(sa.number)];
    }
    let installed = sa.children.iter().filter(|child| child.phase == ChildPhase::Installed);
    installed.map(|child| Step::EndChild(child.number)).collect()
}

/// Whether the plan has us begin.
pub(crate) const fn standing(plan: &TunnelPlan) -> Standing {
    match (plan.is_up, plan.initiator) {
        (false, _) => Standing::AdminDown,
        (true, Initiator::BiDirectional) => Standing::Begins,
        (true, Initiator::ResponseOnly) => Standing::Waits,
    }
}

/// The pairs that are to be covered: of what cannot be, none.
fn wanted(plan: &TunnelPlan, standing: &Standing) -> Vec<(ipnet::IpNet, ipnet::IpNet)> {
    match standing {
        Standing::Begins | Standing::Waits | Standing::AdminDown => pairs(plan),
        Standing::Impossible(_) => Vec::new(),
    }
}

fn covers(child: &ChildSa, pair: &Child) -> bool {
    let within = |nets: &[ipnet::IpNet], wanted: &[ipnet::IpNet]| {
        wanted.iter().all(|wanted| nets.iter().any(|net| net.contains(wanted)))
    };
    within(&child.local_subnets, &pair.local) && within(&child.peer_subnets, &pair.peer)
}

/// The IKE SA and the child SAs to show: of several IKE SAs the one that carries something, and then the newest.
fn shown(sas: &[&ObservedIke]) -> (Option<IkeSa>, Vec<ChildSa>) {
    let alive = || sas.iter().filter(|sa| sa.phase == Phase::Established);
    let carries = |sa: &ObservedIke| sa.installed().next().is_some();
    let ike = alive()
        .filter_map(|sa| sa.shown.as_ref().map(|shown| (carries(sa), shown)))
        .max_by_key(|(carries, shown)| (*carries, shown.established_at));
    let children = sas.iter().flat_map(|sa| sa.installed()).filter_map(|child| child.shown.clone());
    (ike.map(|(_, shown)| shown.clone()), children.collect())
}
