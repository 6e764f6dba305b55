//! Load-balancer providers behind one trait.
