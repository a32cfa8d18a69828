"""What keeps the workers going: the sweep's beat and chores, signs of life, the doctor."""
