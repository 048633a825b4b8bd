"""What operators say of campaigns, and what they are told of it. Sends nothing, joins no group."""
