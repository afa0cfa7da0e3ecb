"""Work over many processes and machines by Ray: a study's trainings, a folder's files. Nothing else here knows Ray."""
