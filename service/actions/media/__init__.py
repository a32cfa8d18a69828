"""What people and machines do with pictures: upload them, put them into stories."""
