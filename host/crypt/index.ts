// The public names of @ringwall/host/crypt: usual passwords, tried with the system's own libcrypt.
export { guessPassword, type GuessVerdict } from './guess.ts';
export { passwordFinisher, type PasswordBudget } from './password-finisher.ts';
