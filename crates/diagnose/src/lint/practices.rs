//! Good practice: manifests that are accepted and still will hurt. The guide's advice, without what is outdated in it.

mod deprecated;
mod pods;
mod services;

use super::{Sink, world::World};

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    for served in &world.services {
        let makers = world.behind(served);
        services::check(served, &makers, sink);
        deprecated::check(served, sink);
        pods::behind(served, &makers, sink);
    }
    for maker in &world.makers {
        pods::alone(maker, sink);
    }
    deprecated::objects(world, sink);
}
