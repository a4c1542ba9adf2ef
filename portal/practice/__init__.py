"""WHAT RUNS AT THE DOCTOR'S: one configuration, one folder, a few steps. No database; only the portal is spoken to."""
