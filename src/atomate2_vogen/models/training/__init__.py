"""Training of the networks, stage by stage, each resumable after every epoch."""
