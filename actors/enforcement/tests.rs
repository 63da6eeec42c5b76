//! A whole house on loopback: journal, cache, query actor, producer of pushes and a listener, asked
//! as a firewall asks.

mod asking;
mod house;
mod login;
mod pushing;
