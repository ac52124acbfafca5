"""Earlier weakly supervised lifters, written anew to be measured as the model is."""
