//! Keeps the shape of the engine: a stage sees the ground floor and nothing beside it, and no
//! Python comes in.

mod imports;
mod packages;
mod paths;
