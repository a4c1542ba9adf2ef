"""What happens: one public function is one step of the mission, one transaction, one log entry."""
