"""One owner for each key among the workers of one machine: who it is, how it is asked, how it answers."""
