"""What is good and bad in translations, beyond the three scores."""
