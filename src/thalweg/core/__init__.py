"""What is studied: parameter spaces, objectives, statistics policies, subspaces and how they are evaluated."""
