"""What users said yes and no to, and the account in which they did: asked, remembered, taken back."""
