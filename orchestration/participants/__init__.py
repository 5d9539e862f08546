"""Layer 1, participants: who the members are, which keys speak for them, and what they may do."""
