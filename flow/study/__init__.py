"""Studies: several trainings under one recipe, their hardware, and what they show; each is a command that resumes."""
