//! Front-ends: how a program comes to see the node.
