"""Who learns to read: LoRA on any vision-language model, its export, and how the embedded model was made."""
